#include "lab/nodes/cni.h"

#include <dirent.h>

#include <algorithm>
#include <memory>

#include "base/encoding.h"
#include "base/log.h"
#include "base/text.h"
#include "lab/host/files.h"
#include "lab/nodes/run_process.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr auto kDeadline = std::chrono::seconds(60);
constexpr const char* kInterface = "eth0";
constexpr const char* kLoopbackNetwork =
    R"({"cniVersion":"0.3.1","name":"cni-loopback","plugins":[{"type":"loopback"}]})";

std::string text_at(const json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

// CNI-R3: of .conf, .conflist and .json files the first by name.
Result<CniNetwork> first_network(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(folder.c_str())) {
    while (dirent* entry = ::readdir(dir)) {
      std::string name = entry->d_name;
      if (name.ends_with(".conf") || name.ends_with(".conflist") || name.ends_with(".json")) names.push_back(name);
    }
    ::closedir(dir);
  }
  if (names.empty()) return fail(ErrorKind::kTransient, "no network configuration in {} yet", folder);
  std::string path = folder + "/" + *std::ranges::min_element(names);
  std::string text = TRY(read_file(path));
  auto network = parse_network(text);
  if (!network) return with_context(network.error(), "{}", path);
  return network;
}

std::vector<std::pair<std::string, std::string>> cni_args(const Sandbox& sandbox) {
  return {{"IgnoreUnknown", "1"},
          {"K8S_POD_NAMESPACE", sandbox.pod.namespace_},
          {"K8S_POD_NAME", sandbox.pod.name},
          {"K8S_POD_INFRA_CONTAINER_ID", sandbox.container_id},
          {"K8S_POD_UID", sandbox.uid}};
}

std::string cache_path(const LabPaths& paths, const std::string& network, const std::string& container_id,
                       const char* interface) {
  return fmt::format("{}/{}-{}-{}", paths.cni_results(), network, container_id, interface);
}

// What libcni would have kept, so that cnitool and others can DEL what the lab added (CNI-R15).
void keep_result(const LabPaths& paths, const CniNetwork& network, const CniAttachment& attachment,
                 const json::value& result) {
  json::array args;
  for (auto& [key, value] : cni_args(*attachment.sandbox))
    args.push_back(json::array{json::string(key), json::string(value)});
  std::string config = json::serialize(
      json::object{{"cniVersion", network.version}, {"name", network.name}, {"plugins", network.plugins}});
  json::object entry{{"kind", "cniCacheV1"},
                     {"containerId", attachment.sandbox->container_id},
                     {"config", base64(config)},
                     {"ifName", kInterface},
                     {"networkName", network.name},
                     {"netns", attachment.sandbox->netns},
                     {"cniArgs", args},
                     {"capabilityArgs", json::object{{"portMappings", attachment.port_mappings}}},
                     {"result", result}};
  if (auto kept = write_file_atomically(cache_path(paths, network.name, attachment.sandbox->container_id, kInterface),
                                        json::serialize(entry), 0600);
      !kept)
    log::warn("CNI result cache: {}", kept.error().message);
}

std::optional<json::value> kept_result(const LabPaths& paths, const CniNetwork& network, const Sandbox& sandbox) {
  auto text = read_file(cache_path(paths, network.name, sandbox.container_id, kInterface));
  if (!text) return std::nullopt;
  std::error_code error;
  json::value entry = json::parse(*text, error);
  if (error || !entry.is_object() || !entry.as_object().contains("result")) return std::nullopt;
  return entry.at("result");
}

SpawnRequest plugin_request(const LabPaths& paths, const char* verb, const std::string& type, int node_netns,
                            const Sandbox* sandbox, const char* interface) {
  SpawnRequest request{.argv = {paths.cni_bin() + "/" + type}, .netns = node_netns};
  request.extra_env = {std::string("CNI_COMMAND=") + verb, "CNI_PATH=" + paths.cni_bin()};
  if (sandbox) {
    std::vector<std::string> pairs;
    for (auto& [key, value] : cni_args(*sandbox)) pairs.push_back(key + "=" + value);
    request.extra_env.insert(request.extra_env.end(),
                             {"CNI_CONTAINERID=" + sandbox->container_id, "CNI_NETNS=" + sandbox->netns,
                              std::string("CNI_IFNAME=") + interface, "CNI_ARGS=" + join(pairs, ";")});
  }
  return request;
}

std::string plugin_error(const std::string& type, const ProcessEnd& end) {
  std::error_code error;
  json::value document = json::parse(end.output, error);
  std::string sentence = end.output;
  if (!error && document.is_object()) {
    sentence = text_at(document.as_object(), "msg");
    if (std::string details = text_at(document.as_object(), "details"); !details.empty()) sentence += ": " + details;
  }
  return fmt::format("plugin {} (exit code {}): {}", type, end.exit_code, sentence);
}

}  // namespace

Result<CniNetwork> parse_network(std::string_view text) try {
  json::object document = json::parse(json::string_view(text.data(), text.size())).as_object();
  CniNetwork network{.name = text_at(document, "name"), .version = text_at(document, "cniVersion")};
  constexpr std::array<std::string_view, 5> kKnown = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
  if (auto* versions = document.if_contains("cniVersions"))
    for (std::string_view known : kKnown)
      for (const json::value& offered : versions->as_array())
        if (offered.as_string() == json::string_view(known.data(), known.size())) network.version = known;
  if (auto* plugins = document.if_contains("plugins"))
    network.plugins = plugins->as_array();
  else
    network.plugins.push_back(document);
  if (network.name.empty() || network.plugins.empty())
    return fail(ErrorKind::kInvalid, "a network needs a name and a plugin");
  return network;
} catch (const std::exception& e) {
  return fail(ErrorKind::kInvalid, "network configuration: {}", e.what());
}

std::string plugin_input(const CniNetwork& network, const json::object& plugin, const CniAttachment& attachment,
                         const json::value* previous_result) {
  json::object config = plugin;
  config["name"] = network.name;
  config["cniVersion"] = network.version;
  if (auto* capabilities = plugin.if_contains("capabilities"); capabilities && capabilities->is_object()) {
    json::object runtime;
    auto wants = [&](const char* name) {
      auto* value = capabilities->as_object().if_contains(name);
      return value && value->is_bool() && value->as_bool();
    };
    if (wants("portMappings") && !attachment.port_mappings.empty()) runtime["portMappings"] = attachment.port_mappings;
    if (wants("io.kubernetes.cri.pod-annotations") && !attachment.annotations.empty())
      runtime["io.kubernetes.cri.pod-annotations"] = attachment.annotations;
    if (!runtime.empty()) config["runtimeConfig"] = runtime;
  }
  if (previous_result) config["prevResult"] = *previous_result;
  return json::serialize(config);
}

// CNI-R6: addresses count when they belong to the interface of that name, or to none.
Result<std::vector<std::string>> result_addresses(const json::value& result, std::string_view interface_name) try {
  std::vector<std::string> out;
  const json::object& object = result.as_object();
  if (!object.contains("ips")) return fail(ErrorKind::kInternal, "the plugin's result has no ips");
  for (const json::value& entry : object.at("ips").as_array()) {
    const json::object& ip = entry.as_object();
    if (auto* index = ip.if_contains("interface")) {
      auto name = object.at("interfaces").as_array().at(index->to_number<size_t>()).at("name").as_string();
      if (name != json::string_view(interface_name.data(), interface_name.size())) continue;
    }
    std::string address = text_at(ip, "address");
    out.push_back(address.substr(0, address.find('/')));
  }
  if (out.empty()) return fail(ErrorKind::kInternal, "the plugin's result has no address of {}", interface_name);
  return out;
} catch (const std::exception& e) {
  return fail(ErrorKind::kInternal, "the plugin's result: {}", e.what());
}

json::array port_mappings_of(const k8s::Pod& pod) {
  json::array out;
  for (const k8s::Container& container : pod.spec.containers)
    for (const k8s::ContainerPort& port : container.ports) {
      if (port.hostPort <= 0) continue;
      json::object mapping{{"hostPort", port.hostPort},
                           {"containerPort", port.containerPort},
                           {"protocol", lower(port.protocol.empty() ? "TCP" : port.protocol)}};
      if (!port.hostIP.empty()) mapping["hostIP"] = port.hostIP;
      out.push_back(std::move(mapping));
    }
  return out;
}

namespace {

// One verb over the plugins of one network, one after the other.
struct Chain : std::enable_shared_from_this<Chain> {
  Chain(boost::asio::io_context& io_, LabPaths paths_) : io(io_), paths(std::move(paths_)) {}

  boost::asio::io_context& io;
  LabPaths paths;
  CniNetwork network;
  CniAttachment attachment;
  Sandbox sandbox;  // a copy: the caller's may go
  bool has_sandbox = false;
  const char* verb = "ADD";
  const char* interface = kInterface;
  std::vector<size_t> order;
  size_t step = 0;
  std::optional<json::value> result;
  std::function<void(Result<json::value>)> done;

  void run() {
    bool adds = std::string_view(verb) == "ADD";
    for (size_t i = 0; i < network.plugins.size(); ++i) order.push_back(adds ? i : network.plugins.size() - 1 - i);
    next();
  }
  void next() {
    if (step == order.size()) return done(result ? *result : json::value());
    const json::object& plugin = network.plugins[order[step]].as_object();
    std::string type = text_at(plugin, "type");
    auto request =
        plugin_request(paths, verb, type, attachment.node_netns, has_sandbox ? &sandbox : nullptr, interface);
    run_process(io, std::move(request), plugin_input(network, plugin, attachment, result ? &*result : nullptr),
                kDeadline,
                [self = shared_from_this(), type](Result<ProcessEnd> end) { self->ended(type, std::move(end)); });
  }
  void ended(const std::string& type, Result<ProcessEnd> end) {
    if (!end) return done(std::unexpected(end.error()));
    if (end->exit_code != 0) return done(fail(ErrorKind::kTransient, "{}", plugin_error(type, *end)));
    if (std::string_view(verb) == "ADD") {
      std::error_code error;
      result = json::parse(end->output, error);
      if (error) return done(fail(ErrorKind::kInternal, "plugin {}: its result is no JSON", type));
    }
    ++step;
    next();
  }
};

std::shared_ptr<Chain> make_chain(boost::asio::io_context& io, const LabPaths& paths, CniNetwork network,
                                  const CniAttachment& attachment, const char* verb) {
  auto chain = std::make_shared<Chain>(io, paths);
  chain->network = std::move(network);
  chain->attachment = attachment;
  if (attachment.sandbox) {
    chain->sandbox = *attachment.sandbox;
    chain->has_sandbox = true;
  }
  chain->attachment.sandbox = &chain->sandbox;
  chain->verb = verb;
  return chain;
}

}  // namespace

void Cni::add(const CniAttachment& attachment, std::function<void(Result<std::vector<std::string>>)> done) {
  auto network = first_network(paths_.node_cni_conf(attachment.sandbox->node));
  if (!network) return done(std::unexpected(network.error()));
  struct Both {
    int open = 2;
    std::optional<Error> error;
    std::vector<std::string> addresses;
  };
  auto both = std::make_shared<Both>();
  auto one_ended = [both, done](Result<void> result) {
    if (!result && !both->error) both->error = result.error();
    if (--both->open > 0) return;
    if (both->error) return done(std::unexpected(*both->error));
    done(std::move(both->addresses));
  };
  auto loopback = make_chain(io_, paths_, *parse_network(kLoopbackNetwork), attachment, "ADD");
  loopback->interface = "lo";
  loopback->done = [one_ended](Result<json::value> result) {
    one_ended(result ? Result<void>() : std::unexpected(result.error()));
  };
  auto main = make_chain(io_, paths_, std::move(*network), attachment, "ADD");
  main->done = [this, main_weak = std::weak_ptr(main), both, one_ended](Result<json::value> result) {
    if (!result) return one_ended(std::unexpected(result.error()));
    auto addresses = result_addresses(*result, kInterface);
    if (!addresses) return one_ended(std::unexpected(addresses.error()));
    both->addresses = std::move(*addresses);
    if (auto self = main_weak.lock()) keep_result(paths_, self->network, self->attachment, *result);
    one_ended({});
  };
  loopback->run();
  main->run();
}

void Cni::del(const CniAttachment& attachment, std::function<void(Result<void>)> done) {
  auto network = first_network(paths_.node_cni_conf(attachment.sandbox->node));
  if (!network) return done({});  // nothing was ever added on this node
  auto chain = make_chain(io_, paths_, std::move(*network), attachment, "DEL");
  chain->result = kept_result(paths_, chain->network, chain->sandbox);
  std::string cache = cache_path(paths_, chain->network.name, chain->sandbox.container_id, kInterface);
  chain->done = [done, cache](Result<json::value> result) {
    if (!result) return done(std::unexpected(result.error()));
    ::unlink(cache.c_str());
    done({});
  };
  chain->run();
}

void Cni::status(const std::string& node, int node_netns, std::function<void(Result<void>)> done) {
  auto network = first_network(paths_.node_cni_conf(node));
  if (!network) return done(std::unexpected(network.error()));
  CniAttachment attachment;
  attachment.node_netns = node_netns;
  auto chain = make_chain(io_, paths_, std::move(*network), attachment, "STATUS");
  chain->done = [done](Result<json::value> result) { done(result ? Result<void>() : std::unexpected(result.error())); };
  chain->run();
}

}  // namespace carrick::lab
