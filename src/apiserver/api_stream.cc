#include <algorithm>
#include <charconv>

#include "apiserver/api.h"
#include "base/timestamp.h"

// Subresources of pods that are streams: they are checked here, and carried by connection.cc.
namespace carrick::apiserver {
namespace {

constexpr size_t kMaxCommandWords = 1024, kMaxPorts = 32;

std::vector<std::string> container_names(const json::object& pod, std::string_view list) {
  std::vector<std::string> out;
  if (const json::array* containers = array_at(pod, list))
    for (const json::value& container : *containers)
      if (container.is_object()) out.emplace_back(text_at(container.get_object(), "name"));
  return out;
}

// As the API picks it: the only one, or the one that is named.
StatusOr<std::string> container_of(const json::object& pod, std::string_view wanted) {
  const std::string_view name = text_at(pod, "metadata.name");
  const auto main = container_names(pod, "spec.containers"), init = container_names(pod, "spec.initContainers"),
             ephemeral = container_names(pod, "spec.ephemeralContainers");
  if (wanted.empty()) {
    if (main.size() == 1) return main.front();
    std::string others = init.empty() ? "" : fmt::format(" or one of the init containers: [{}]", fmt::join(init, " "));
    return std::unexpected(bad_request(fmt::format(
        "a container name must be specified for pod {}, choose one of: [{}]{}", name, fmt::join(main, " "), others)));
  }
  for (const auto* names : {&main, &init, &ephemeral})
    if (std::ranges::find(*names, wanted) != names->end()) return std::string(wanted);
  return std::unexpected(bad_request(fmt::format("container {} is not valid for pod {}", wanted, name)));
}

StatusOr<std::optional<int64_t>> log_number(const Query& query, std::string_view name, int64_t least) {
  const std::string_view text = query.get(name);
  if (text.empty()) return std::nullopt;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::unexpected(bad_request(fmt::format("{}: Invalid value: \"{}\": must be a whole number", name, text)));
  if (number < least)
    return std::unexpected(
        invalid({.group = "", .kind = "PodLogOptions"}, "",
                {field_error("Invalid", std::string(name),
                             fmt::format("Invalid value: {}: must be greater than or equal to {}", number, least))}));
  return number;
}

StatusOr<LogOptions> log_options(const Query& query) {
  LogOptions options{.follow = query.flag("follow"),
                     .previous = query.flag("previous"),
                     .timestamps = query.flag("timestamps"),
                     .since_time = std::string(query.get("sinceTime"))};
  struct Number {
    std::string_view name;
    int64_t least;
    std::optional<int64_t>* into;
  };
  for (const Number& number :
       {Number{"tailLines", 0, &options.tail_lines}, Number{"sinceSeconds", 1, &options.since_seconds},
        Number{"limitBytes", 1, &options.limit_bytes}}) {
    auto value = log_number(query, number.name, number.least);
    if (!value) return std::unexpected(value.error());
    *number.into = *value;
  }
  if (!options.since_time.empty() && !parse_timestamp(options.since_time))
    return std::unexpected(bad_request(fmt::format(
        "sinceTime: Invalid value: \"{}\": must be a time as in 2006-01-02T15:04:05Z", options.since_time)));
  if (!options.since_time.empty() && options.since_seconds)
    return std::unexpected(invalid(
        {.group = "", .kind = "PodLogOptions"}, "",
        {field_error("Forbidden", "", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")}));
  return options;
}

StatusOr<std::vector<uint16_t>> forward_ports(const Query& query) {
  std::vector<uint16_t> ports;
  for (const auto& [name, value] : query.values) {
    if (name != "ports") continue;
    for (std::string_view rest = value; !rest.empty();) {
      const std::string_view text = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), text.size() + 1));
      uint16_t port = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
      if (error != std::errc{} || end != text.data() + text.size() || port == 0 || ports.size() >= kMaxPorts)
        return std::unexpected(bad_request(fmt::format("unable to parse \"{}\" as a port", text)));
      ports.push_back(port);
    }
  }
  return ports;
}

}  // namespace

StatusOr<Response> Api::stream(const Request& request, const Route& route) {
  const Query& query = request.target.query;
  const std::string& what = route.subresource;
  const bool log = what == "log", forward = what == "portforward";
  if (request.method != "GET" && (log || request.method != "POST")) return std::unexpected(method_not_allowed());
  const Record pod = registry_.store().get(*route.type, {route.namespace_, route.name});
  if (!pod) return std::unexpected(not_found(*route.type, route.name));
  auto answer = std::make_shared<StreamAnswer>();
  NodeCall& call = answer->call;
  call = {.kind = log                ? NodeCall::Kind::kLog
                  : forward          ? NodeCall::Kind::kDial
                  : what == "attach" ? NodeCall::Kind::kAttach
                                     : NodeCall::Kind::kExec,
          .node = std::string(text_at(pod->document, "spec.nodeName")),
          .namespace_ = route.namespace_,
          .pod = route.name,
          .uid = std::string(text_at(pod->document, "metadata.uid"))};
  if (!forward) {
    auto container = container_of(pod->document, query.get("container"));
    if (!container) return std::unexpected(container.error());
    call.container = std::move(*container);
  }
  if (call.node.empty())
    return std::unexpected(bad_request(fmt::format("pod {} does not have a host assigned", route.name)));
  if (const std::string_view phase = text_at(pod->document, "status.phase");
      !log && (phase == "Succeeded" || phase == "Failed"))
    return std::unexpected(bad_request(fmt::format("cannot {} a container in a completed pod; current phase is {}",
                                                   forward          ? "forward a port of"
                                                   : what == "exec" ? "exec into"
                                                                    : "attach to",
                                                   phase)));
  if (!options_.nodes)
    return std::unexpected(
        Status{.code = 501,
               .reason = "NotImplemented",
               .message = fmt::format("no node of this API server runs pods: {} has nowhere to go", what)});
  answer->nodes = options_.nodes;
  Response response;
  response.stream = answer;
  if (log) {
    auto options = log_options(query);
    if (!options) return std::unexpected(options.error());
    call.log = std::move(*options);
    call.out = true;
    response.content_type = "text/plain";
    return response;
  }
  if (forward) {
    const auto ports = forward_ports(query);
    if (!ports) return std::unexpected(ports.error());
    auto upgraded = upgrade_forward(request.upgrade, *ports);
    if (!upgraded) return std::unexpected(upgraded.error());
    answer->forward = std::move(upgraded->dialect);
    response.headers = std::move(upgraded->headers);
    response.code = 101;
    return response;
  }
  for (const auto& [name, value] : query.values)
    if (name == "command") call.command.push_back(value);
  if (what == "exec" && (call.command.empty() || call.command.size() > kMaxCommandWords))
    return std::unexpected(bad_request("command: Required value: you must specify the command to run"));
  call.in = query.flag("stdin");
  call.out = query.flag("stdout");
  call.err = query.flag("stderr");
  call.tty = query.flag("tty");
  if (!call.in && !call.out && !call.err)
    return std::unexpected(bad_request("you must specify at least 1 of stdin, stdout, stderr"));
  auto upgraded = upgrade_exec(request.upgrade, {.in = call.in, .out = call.out, .err = call.err, .tty = call.tty});
  if (!upgraded) return std::unexpected(upgraded.error());
  answer->exec = std::move(upgraded->dialect);
  response.headers = std::move(upgraded->headers);
  response.code = 101;
  return response;
}

}  // namespace carrick::apiserver
