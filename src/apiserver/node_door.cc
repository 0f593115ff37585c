#include "apiserver/node_door.h"

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kKinds[] = {"exec", "attach", "log", "dial"};

std::optional<int64_t> optional_number(const json::object& object, std::string_view name) {
  if (!field(object, name)) return std::nullopt;
  return number_at(object, name);
}

}  // namespace

std::string encode_node_call(const NodeCall& call) {
  json::object log{{"follow", call.log.follow}, {"previous", call.log.previous}, {"timestamps", call.log.timestamps}};
  if (call.log.tail_lines) log["tailLines"] = *call.log.tail_lines;
  if (call.log.since_seconds) log["sinceSeconds"] = *call.log.since_seconds;
  if (call.log.limit_bytes) log["limitBytes"] = *call.log.limit_bytes;
  if (!call.log.since_time.empty()) log["sinceTime"] = call.log.since_time;
  return json::serialize(json::object{{"call", kKinds[static_cast<size_t>(call.kind)]},
                                      {"node", call.node},
                                      {"namespace", call.namespace_},
                                      {"pod", call.pod},
                                      {"uid", call.uid},
                                      {"container", call.container},
                                      {"command", json::array(call.command.begin(), call.command.end())},
                                      {"stdin", call.in},
                                      {"stdout", call.out},
                                      {"stderr", call.err},
                                      {"tty", call.tty},
                                      {"log", std::move(log)},
                                      {"port", call.port}});
}

Result<NodeCall> decode_node_call(std::string_view line) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return fail(ErrorKind::kInvalid, "a call to a node must be one JSON object");
  const json::object& object = value.get_object();
  const auto kind = std::ranges::find(kKinds, text_at(object, "call"));
  if (kind == std::end(kKinds)) return fail(ErrorKind::kInvalid, "no such call: {:?}", text_at(object, "call"));
  const auto text = [&](std::string_view name) { return std::string(text_at(object, name)); };
  NodeCall call{.kind = static_cast<NodeCall::Kind>(kind - std::begin(kKinds)),
                .node = text("node"),
                .namespace_ = text("namespace"),
                .pod = text("pod"),
                .uid = text("uid"),
                .container = text("container"),
                .in = flag_at(object, "stdin"),
                .out = flag_at(object, "stdout"),
                .err = flag_at(object, "stderr"),
                .tty = flag_at(object, "tty"),
                .log = {.follow = flag_at(object, "log.follow"),
                        .previous = flag_at(object, "log.previous"),
                        .timestamps = flag_at(object, "log.timestamps"),
                        .tail_lines = optional_number(object, "log.tailLines"),
                        .since_seconds = optional_number(object, "log.sinceSeconds"),
                        .limit_bytes = optional_number(object, "log.limitBytes"),
                        .since_time = text("log.sinceTime")},
                .port = static_cast<uint16_t>(number_at(object, "port"))};
  if (const json::array* command = array_at(object, "command"))
    for (const json::value& word : *command)
      if (word.is_string()) call.command.emplace_back(word.get_string());
  return call;
}

}  // namespace carrick::apiserver
