// carrick-cni: what the container runtime starts for each pod. It checks the call, hands it to the node's agent and
// prints the answer. Under the name `loopback` it is that plugin.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "agent_socket.h"
#include "cni/call.h"
#include "loopback.h"

namespace carrick::cni {
namespace {
namespace json = boost::json;

constexpr const char* kDefaultSocket = "/run/carrick/cni.sock";
constexpr size_t kMaxConfig = 1u << 20;
constexpr std::string_view kNewest = kVersions[std::size(kVersions) - 1];

void print(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    ssize_t size = write(fd, text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    done += static_cast<size_t>(size);
  }
}

// On standard output: what libcni reads and the spec's STATUS and error sections mean, whatever its overview says
// (CNI-R14).
int report(const CniError& error, std::string_view version) {
  print(STDOUT_FILENO, json::serialize(error_object(error, version)) + "\n");
  return 1;
}

std::string versions_text(const char* separator) {
  std::string out;
  for (std::string_view version : kVersions) out += (out.empty() ? "" : separator) + std::string(version);
  return out;
}

CniResultOf<std::string> read_config(int64_t deadline) {
  std::string text;
  char buffer[16384];
  for (;;) {
    pollfd entry{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    int64_t left = deadline - now_ms();
    int ready = left > 0 ? poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return std::unexpected(CniError{kIoFailure, "standard input does not end in time", {}});
    ssize_t size = read(STDIN_FILENO, buffer, sizeof buffer);
    if (size < 0)
      return std::unexpected(
          CniError{kIoFailure, std::string("error reading from stdin: ") + std::strerror(errno), {}});
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMaxConfig)
      return std::unexpected(CniError{kDecodingFailure, "network config is larger than 1 MiB", {}});
  }
}

// A pod in the plugin's own namespace would be a pod without one.
CniResultOf<> check_netns(const Call& call) {
  if (call.netns_override || (call.verb != Verb::kAdd && call.verb != Verb::kCheck)) return {};
  struct stat own{}, pod{};
  if (stat("/proc/self/ns/net", &own) < 0 || stat(call.netns.c_str(), &pod) < 0)
    return {};  // the agent says what is wrong
  if (own.st_ino != pod.st_ino || own.st_dev != pod.st_dev) return {};
  return std::unexpected(
      CniError{kBadNetns, "plugin's netns and netns from CNI_NETNS should not be the same", call.netns});
}

const char* verb_name(Verb verb) {
  switch (verb) {
    case Verb::kAdd:
      return "ADD";
    case Verb::kDel:
      return "DEL";
    case Verb::kCheck:
      return "CHECK";
    case Verb::kGc:
      return "GC";
    case Verb::kStatus:
      return "STATUS";
    case Verb::kVersion:
      return "VERSION";
  }
  return "";
}

std::string request_line(const Call& call, const NetConf& conf, int64_t deadline) {
  json::object env{{"CNI_CONTAINERID", call.container_id},
                   {"CNI_NETNS", call.netns},
                   {"CNI_IFNAME", call.ifname},
                   {"CNI_ARGS", call.args},
                   {"CNI_PATH", call.path}};
  json::object request{{"verb", verb_name(call.verb)},
                       {"deadlineMs", std::max<int64_t>(deadline - now_ms(), 1)},
                       {"env", std::move(env)},
                       {"config", conf.document}};
  return json::serialize(request);
}

// The agent is down: what it has of the pod is released at its next start. Another attempt closes the gap to one that
// starts now.
void queue_release(const std::string& socket, const Call& call, const std::string& request, const std::string& reason,
                   int64_t deadline) {
  std::string file = spool_request(socket, call.container_id + "/" + call.ifname, request);
  if (file.empty()) return;
  if (ask_agent(socket, request, deadline, false)) {
    unlink(file.c_str());
    return;
  }
  print(STDERR_FILENO, "carrick-cni: " + reason + "; the release of " + call.container_id + " is queued\n");
}

int failure_code(Verb verb) { return verb == Verb::kStatus ? kNotAvailable : kTryAgainLater; }

int forward(const Call& call, const NetConf& conf, int64_t deadline) {
  const char* from_environment = std::getenv("CARRICK_CNI_SOCKET");
  std::string socket = !conf.socket.empty() ? conf.socket : from_environment ? from_environment : kDefaultSocket;
  std::string request = request_line(call, conf, deadline);
  auto answer = ask_agent(socket, request, deadline, call.verb == Verb::kAdd);
  if (!answer) {
    if (call.verb != Verb::kDel)
      return report({failure_code(call.verb), "the node's agent does not answer", answer.error().reason}, conf.version);
    queue_release(socket, call, request, answer.error().reason, deadline);
    return 0;
  }
  boost::system::error_code error;
  json::value document = json::parse(*answer, error);
  const json::object* object = error ? nullptr : document.if_object();
  if (!object)
    return call.verb == Verb::kDel
               ? 0
               : report({kIoFailure, "the agent's answer is not understood", *answer}, conf.version);
  if (const json::value* problem = object->if_contains("error")) {
    print(STDOUT_FILENO, json::serialize(*problem) + "\n");
    return 1;
  }
  if (const json::value* result = object->if_contains("result")) print(STDOUT_FILENO, json::serialize(*result) + "\n");
  return 0;
}

int run(bool is_loopback) {
  auto call = read_environment([](const char* name) -> const char* { return std::getenv(name); });
  if (!call) {
    const char* command = std::getenv("CNI_COMMAND");
    if (command && *command) return report(call.error(), kNewest);
    print(STDERR_FILENO, std::string(is_loopback ? "CNI loopback plugin of Carrick" : "CNI plugin of Carrick") +
                             "\nCNI protocol versions supported: " + versions_text(", ") + "\n");
    return 0;
  }
  if (call->verb == Verb::kVersion) {
    print(STDOUT_FILENO, "{\"cniVersion\":\"" + std::string(kNewest) + "\",\"supportedVersions\":[\"" +
                             versions_text("\",\"") + "\"]}\n");
    return 0;
  }
  int64_t begin = now_ms();
  auto text = read_config(begin + NetConf::kDeadline);
  if (!text) return report(text.error(), kNewest);
  auto conf = parse_netconf(*text);
  if (!conf) return report(conf.error(), kNewest);
  for (auto&& check : {check_names(*call), check_version(call->verb, conf->version), check_netns(*call)}) {
    if (!check) return report(check.error(), is_supported(conf->version) ? std::string_view(conf->version) : kNewest);
  }
  if (!is_loopback) return forward(*call, *conf, begin + conf->deadline_ms);
  auto result = loopback(*call, *conf);
  if (!result) return report(result.error(), conf->version);
  if (call->verb == Verb::kAdd) print(STDOUT_FILENO, json::serialize(*result) + "\n");
  return 0;
}

}  // namespace
}  // namespace carrick::cni

int main(int, char** argv) {
  std::string_view name = argv[0] ? argv[0] : "";
  name.remove_prefix(name.rfind('/') == std::string_view::npos ? 0 : name.rfind('/') + 1);
  return carrick::cni::run(name == "loopback");
}
