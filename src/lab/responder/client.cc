#include <boost/json.hpp>

#include "kernel/unix_socket.h"
#include "lab/responder/responder.h"

namespace carrick::lab {

namespace json = boost::json;

Result<ResponderClient> ResponderClient::connect(const std::string& control_path) {
  auto socket = kernel::connect_unix(control_path, 5000);
  if (!socket) return with_context(socket.error(), "responder");
  return ResponderClient(std::move(*socket));
}

Result<std::string> ResponderClient::exchange(const std::string& line) {
  auto answer = kernel::exchange_line(socket_.get(), line);
  if (!answer) return with_context(answer.error(), "responder");
  return answer;
}

Result<std::vector<std::string>> ResponderClient::set(const PodListeners& pod) {
  json::array listeners;
  for (const Listener& listener : pod.listeners)
    listeners.push_back(json::object{{"port", listener.port}, {"protocol", static_cast<int>(listener.protocol)}});
  std::string answer = TRY(exchange(json::serialize(json::object{{"set", pod.key},
                                                                 {"namespace", pod.namespace_},
                                                                 {"pod", pod.pod},
                                                                 {"node", pod.node},
                                                                 {"netns", pod.netns},
                                                                 {"address", pod.address.str()},
                                                                 {"listeners", listeners}})));
  std::vector<std::string> errors;
  for (const json::value& sentence : json::parse(answer).at("errors").as_array())
    errors.emplace_back(sentence.as_string());
  return errors;
}

Result<void> ResponderClient::remove(const std::string& key) {
  TRY(exchange(json::serialize(json::object{{"remove", key}})));
  return {};
}

Result<std::chrono::milliseconds> ResponderClient::idle(const std::string& key) {
  std::string answer = TRY(exchange(json::serialize(json::object{{"idle", key}})));
  return std::chrono::milliseconds(json::parse(answer).at("idle_ms").to_number<int64_t>());
}

}  // namespace carrick::lab
