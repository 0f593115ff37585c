#include <unistd.h>

#include <CLI/Option.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "commands.h"
#include "lab/lab.h"

namespace carrick::app {
namespace {

namespace json = boost::json;

constexpr size_t kLongestPodTable = 60;             // more pods are counted by namespace
constexpr std::chrono::seconds kProgramsLimit(10);  // for programs in pods to listen, once all pods are Ready

int code_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kInvalid:
    case ErrorKind::kAlreadyExists:
    case ErrorKind::kNotFound:
      return 2;
    case ErrorKind::kUnsupported:
      return 3;
    default:
      return 1;
  }
}

void report(const char* command, const Error& error) {
  std::fprintf(stderr, "carrick %s: %s\n", command, error.message.c_str());
  exit_code = code_of(error);
}

struct UpFlags {
  lab::LabConfig config;
  std::vector<std::string> paths, images;
  std::string family = "dual", routing = "native", lb_mode = "snat", output = "text", kubeconfig;
  int timeout_seconds = 120;
};

// One line on a terminal, rewritten; nothing elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(bool enabled) : enabled_(enabled && ::isatty(2)) {}
  ~ProgressLine() { show(""); }
  bool enabled() const { return enabled_; }
  void show(const std::string& text) {
    if (!enabled_ || text == shown_) return;
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
    shown_ = text;
  }

 private:
  bool enabled_;
  std::string shown_;
};

std::string pod_addresses(const k8s::Pod& pod) {
  std::vector<std::string> out;
  std::ranges::transform(pod.status.podIPs, std::back_inserter(out), &k8s::PodIP::ip);
  return join(out, ",");
}

bool is_ready(const k8s::Pod& pod) {
  for (const auto& condition : pod.status.conditions)
    if (condition.type == "Ready") return condition.status == "True";
  return false;
}

std::string pod_table(const k8s::Snapshot& snapshot) {
  if (snapshot.pods.size() <= kLongestPodTable) {
    TextTable table({"NAMESPACE", "POD", "READY", "NODE", "ADDRESSES"});
    for (const auto& [key, pod] : snapshot.pods)
      table.add({key.namespace_, key.name,
                 is_ready(*pod)                     ? "yes"
                 : pod->status.phase == "Succeeded" ? "done"
                                                    : "no",
                 pod->spec.nodeName, pod_addresses(*pod)});
    return table.str();
  }
  std::map<std::string, std::pair<int, int>> by_namespace;
  for (const auto& [key, pod] : snapshot.pods) {
    auto& [ready, all] = by_namespace[key.namespace_];
    ready += is_ready(*pod);
    ++all;
  }
  TextTable table({"NAMESPACE", "PODS", "READY"});
  for (const auto& [name, counts] : by_namespace)
    table.add({name, std::to_string(counts.second), std::to_string(counts.first)});
  return table.str();
}

void print_up(const UpFlags& flags, const lab::LaunchedLab& launched, const lab::WaitEnd& end,
              const lab::Manifests& manifests, const std::vector<lab::SilentPort>& silent, double seconds) {
  const lab::LabPaths& paths = launched.lab().paths;
  std::string kubeconfig = flags.kubeconfig.empty() ? paths.kubeconfig() : flags.kubeconfig;
  size_t pods = end.snapshot ? end.snapshot->pods.size() : 0;
  if (flags.output == "json") {
    json::array problems(end.problems.begin(), end.problems.end()),
        ignored(manifests.ignored_kinds.begin(), manifests.ignored_kinds.end()), silent_ports;
    for (const auto& each : silent) silent_ports.emplace_back(each.str());
    json::object out{
        {"name", flags.config.name},   {"ready", end.problems.empty()},
        {"nodes", flags.config.nodes}, {"pods", pods},
        {"kubeconfig", kubeconfig},    {"api", fmt::format("https://127.0.0.1:{}", launched.lab().record.api_port)},
        {"seconds", seconds},          {"problems", problems},
        {"ignored", ignored},          {"silent", silent_ports}};
    std::printf("%s\n", json::serialize(out).c_str());
    return;
  }
  if (end.snapshot) std::printf("%s", pod_table(*end.snapshot).c_str());
  if (!manifests.ignored_kinds.empty())
    std::printf("\nNot looked at (kinds Carrick has no use for): %s\n", join(manifests.ignored_kinds, ", ").c_str());
  if (end.problems.empty())
    std::printf("\nLab \"%s\" is up: %d nodes, %zu pods, all ready and realized after %.1f s.\n",
                flags.config.name.c_str(), flags.config.nodes, pods, seconds);
  std::printf("export KUBECONFIG=%s\n", kubeconfig.c_str());
  constexpr size_t kShown = 20;
  for (size_t i = 0; i < silent.size() && i < kShown; ++i)
    std::fprintf(stderr, "note: the program in a pod that is Ready does not listen: %s\n", silent[i].str().c_str());
  for (size_t i = 0; i < end.problems.size() && i < kShown; ++i)
    std::fprintf(stderr, "not ready: %s\n", end.problems[i].c_str());
  if (end.problems.size() > kShown) std::fprintf(stderr, "not ready: %zu more\n", end.problems.size() - kShown);
  if (!end.problems.empty())
    std::fprintf(
        stderr,
        "carrick lab up: not everything is ready after %d s; the lab stays up to be looked at (logs: %s/logs)\n",
        flags.timeout_seconds, paths.run().c_str());
}

Result<void> up(UpFlags flags) {
  auto started = std::chrono::steady_clock::now();
  flags.config.family = flags.family == "ipv4"   ? lab::IpFamily::kIpv4
                        : flags.family == "ipv6" ? lab::IpFamily::kIpv6
                                                 : lab::IpFamily::kDual;
  flags.config.vxlan = flags.routing == "vxlan";
  flags.config.dsr = flags.lb_mode == "dsr";
  for (const std::string& image : flags.images) {
    const size_t equals = image.rfind('=');
    const std::string path = equals == std::string::npos ? "" : image.substr(equals + 1);
    if (equals == 0 || !path.starts_with('/') || ::access(path.c_str(), X_OK) != 0)
      return fail(ErrorKind::kInvalid, "--image {}: NAME=PATH, with the absolute path of a program that can be run",
                  image);
    flags.config.images.emplace_back(image.substr(0, equals), path);
  }
  TRY_VOID(lab::check_config(flags.config));
  if (!flags.config.data_dir.empty()) {
    std::error_code error;
    auto absolute = std::filesystem::absolute(flags.config.data_dir, error);
    std::filesystem::create_directories(absolute, error);
    if (error) return fail(ErrorKind::kInvalid, "--data {}: {}", flags.config.data_dir, error.message());
    flags.config.data_dir = absolute.string();
  }
  ProgressLine line(flags.output != "json");
  line.show("reading manifests");
  auto manifests = TRY(lab::read_manifests(flags.paths));
  line.show("starting the lab");
  auto launched = TRY(lab::LaunchedLab::launch(flags.config));
  auto credentials = TRY(lab::connect(launched.lab()));
  auto wait = [&] {
    return lab::wait_until_ready(
        launched.lab(), credentials, std::chrono::seconds(flags.timeout_seconds), [&](const lab::Progress& p) {
          line.show(fmt::format("nodes {}/{}   pods ready {}/{}   agents realized {}/{}", p.nodes_ready,
                                flags.config.nodes, p.pods_ready, p.pods, p.agents_realized, flags.config.nodes));
        });
  };
  // All nodes first: pods that come while only some are ready would crowd on those.
  auto end = wait();
  line.show("creating objects");
  TRY_VOID(lab::apply_manifests(credentials, manifests));
  if (!flags.kubeconfig.empty()) {
    std::string text = TRY(read_file(launched.lab().paths.kubeconfig()));
    TRY_VOID(write_file_atomically(flags.kubeconfig, text, 0600));
  }
  if (end.problems.empty()) end = wait();
  std::vector<lab::SilentPort> silent;
  if (end.problems.empty() && end.snapshot)
    silent = lab::wait_for_programs(
        launched.lab(), *end.snapshot, {}, kProgramsLimit, [&, told = false](const auto& ports) mutable {
          std::string sentence = "pods are ready; waiting until their programs listen: " + ports.front().str();
          line.show(sentence);
          if (!line.enabled() && !std::exchange(told, true)) std::fprintf(stderr, "%s\n", sentence.c_str());
        });
  line.show("");
  launched.keep();
  print_up(flags, launched, end, manifests, silent,
           std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  if (!end.problems.empty()) exit_code = 1;
  return {};
}

Result<void> down(const std::string& name, bool all) {
  std::vector<std::string> names;
  if (all)
    for (const auto& known : lab::list_labs()) names.push_back(known.name);
  else
    names.push_back(name);
  for (const std::string& each : names) {
    TRY_VOID(lab::check_config({.name = each}));
    bool known = lab::read_record(each).has_value() || std::filesystem::exists(lab::LabPaths{each, ""}.run());
    auto lock = TRY(lab::LabLock::take(each));
    TRY_VOID(lab::destroy_lab(each));  // also when nothing is known: a cgroup folder may be left
    if (!known) return fail(ErrorKind::kNotFound, "there is no lab \"{}\"", each);
  }
  return {};
}

void list(const std::string& output) {
  json::array out;
  TextTable table({"NAME", "STATE", "NODES", "FAMILY", "ROUTING", "API"});
  for (const auto& known : lab::list_labs()) {
    const char* state = known.alive ? "up" : "dead";
    int nodes = known.record ? known.record->config.nodes : 0;
    std::string api = known.record && known.alive ? fmt::format("https://127.0.0.1:{}", known.record->api_port) : "";
    std::string family = !known.record                                         ? ""
                         : known.record->config.family == lab::IpFamily::kDual ? "dual"
                         : known.record->config.has_v4()                       ? "ipv4"
                                                                               : "ipv6";
    std::string routing = !known.record ? "" : known.record->config.vxlan ? "vxlan" : "native";
    out.push_back(json::object{{"name", known.name},
                               {"state", state},
                               {"nodes", nodes},
                               {"ipFamily", family},
                               {"routing", routing},
                               {"api", api},
                               {"pid", known.record ? known.record->pid : 0},
                               {"kubeconfig", lab::LabPaths{known.name, ""}.kubeconfig()}});
    table.add({known.name, state, std::to_string(nodes), family, routing, api});
  }
  std::printf("%s", output == "json" ? (json::serialize(out) + "\n").c_str() : table.str().c_str());
}

Result<void> print_kubeconfig(const std::string& name) {
  auto running = TRY(lab::find_running_lab(name));
  std::string text = TRY(read_file(running.paths.kubeconfig()));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

Result<void> exec(const std::string& name, const std::string& pod, const std::string& container,
                  const std::vector<std::string>& command) {
  size_t slash = pod.find('/');
  std::string namespace_ = slash == std::string::npos ? "default" : pod.substr(0, slash);
  auto running = TRY(lab::find_running_lab(name));
  exit_code = TRY(lab::exec_in_pod(running, namespace_, slash == std::string::npos ? pod : pod.substr(slash + 1),
                                   container, command));
  return {};
}

Result<lab::LabConfig> config_of(const std::string& name) {
  return lab::decode_config(TRY(read_file(lab::LabPaths{name, ""}.config())));
}

// The lab's own processes: `carrick lab-... --lab NAME`.
template <class F>
void add_hidden(CLI::App& app, const char* name, F&& run) {
  CLI::App* command = app.add_subcommand(name, "a process of a lab; started by its supervisor");
  command->group("");
  auto lab_name = std::make_shared<std::string>();
  command->add_option("--lab", *lab_name)->required();
  run(*command, [name, lab_name](const auto& body) {
    return [name, lab_name, body] {
      auto config = config_of(*lab_name);
      Result<void> done = config ? body(*config) : std::unexpected(config.error());
      if (!done) report(name, done.error());
    };
  });
}

void add_processes(CLI::App& app) {
  add_hidden(app, "lab-init", [](CLI::App& command, const auto& with_config) {
    command.callback(with_config([](const lab::LabConfig& config) { return lab::run_supervisor(config); }));
  });
  add_hidden(app, "lab-server", [](CLI::App& command, const auto& with_config) {
    auto fds = std::make_shared<std::vector<int>>();
    command.add_option("--listen-fd", *fds);
    command.callback(with_config([fds](const lab::LabConfig& config) { return lab::run_server(config, *fds); }));
  });
  add_hidden(app, "lab-responder", [](CLI::App& command, const auto& with_config) {
    command.callback(with_config([](const lab::LabConfig& config) {
      return lab::run_responder(lab::LabPaths{config.name, ""}.responder_socket());
    }));
  });
  add_hidden(app, "lab-nodes", [](CLI::App& command, const auto& with_config) {
    command.callback(with_config([](const lab::LabConfig& config) { return lab::run_nodes(config); }));
  });
  add_hidden(app, "lab-container", [](CLI::App& command, const auto& with_config) {
    auto flags = std::make_shared<lab::ContainerRun>();
    command.add_option("--pod", flags->pod)->required();
    command.add_option("--container", flags->container)->required();
    command.add_option("--log", flags->log);
    command.add_flag("--session", flags->session);
    command.add_flag("--terminal", flags->terminal);
    command.add_option("command", flags->command);
    command.callback(with_config(
        [flags](const lab::LabConfig& config) -> Result<void> { std::_Exit(lab::run_container(config, *flags)); }));
  });
}

void add_up(CLI::App& lab) {
  auto flags = std::make_shared<UpFlags>();
  CLI::App* command =
      lab.add_subcommand("up", "Start a cluster on this machine and create the objects of manifests in it");
  command
      ->add_option("-f,--filename", flags->paths,
                   "manifest: file, folder (recursive) or - for standard input; may be repeated")
      ->take_all();
  command->add_option("--nodes", flags->config.nodes, "number of nodes")->capture_default_str();
  command->add_option("--name,--lab", flags->config.name, "name of the lab")->capture_default_str();
  command->add_option("--ip-family", flags->family)
      ->check(CLI::IsMember({"dual", "ipv4", "ipv6"}))
      ->capture_default_str();
  command->add_option("--routing", flags->routing, "how pods of different nodes reach each other")
      ->check(CLI::IsMember({"native", "vxlan"}))
      ->capture_default_str();
  command
      ->add_option(
          "--lb-mode", flags->lb_mode,
          "connections from outside to a pod of another node: the pod sees the address of the node they came to "
          "(snat), or the client's, which its own node then answers (dsr)")
      ->check(CLI::IsMember({"snat", "dsr"}))
      ->capture_default_str();
  command->add_flag("--full-maps", flags->config.full_maps,
                    "BPF maps as large as a real node's, for more than 10,000 Services; some 90 MB a node");
  command->add_flag("--uplink-queue", flags->config.uplink_queue,
                    "send through each node's uplink queue, so that a capture on the node's eth0 sees all packets "
                    "(they go straight to the other end else, which is faster)");
  command
      ->add_option("--image", flags->images,
                   "NAME=PATH: containers of image NAME run this program of the machine; may be repeated")
      ->take_all();
  command->add_flag("--reset-removed-endpoints", flags->config.reset_removed,
                    "reset TCP connections whose endpoint is in no EndpointSlice of the Service any more "
                    "(they live on else, as with kube-proxy)");
  command->add_option("--data", flags->config.data_dir,
                      "folder for the objects: a lab started with it again comes back as it was");
  command->add_option("--kubeconfig", flags->kubeconfig, "also write the kubeconfig to this file");
  command->add_option("--api-port", flags->config.api_port, "port of the API server on 127.0.0.1 (0: any free one)");
  command->add_option("--timeout", flags->timeout_seconds, "seconds to wait until everything is ready")
      ->capture_default_str();
  command->add_option("-o,--output", flags->output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->callback([flags] {
    if (auto done = up(*flags); !done) report("lab up", done.error());
  });
}

}  // namespace

void add_lab(CLI::App& app) {
  CLI::App* lab = app.add_subcommand("lab", "A cluster on this machine: real packets, no containers, no images");
  lab->require_subcommand(1);
  add_up(*lab);
  auto name = std::make_shared<std::string>("carrick");
  auto output = std::make_shared<std::string>("text");
  auto all = std::make_shared<bool>(false);

  CLI::App* down_command = lab->add_subcommand("down", "End a lab and remove every trace of it");
  down_command->add_option("--name,--lab", *name, "name of the lab")->capture_default_str();
  down_command->add_flag("--all", *all, "every lab of this machine");
  down_command->callback([name, all] {
    if (auto done = down(*name, *all); !done) report("lab down", done.error());
  });
  CLI::App* list_command = lab->add_subcommand("list", "The labs of this machine");
  list_command->add_option("-o,--output", *output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  list_command->callback([output] { list(*output); });
  CLI::App* kubeconfig_command = lab->add_subcommand("kubeconfig", "Print the kubeconfig of a lab");
  kubeconfig_command->add_option("--name,--lab", *name, "name of the lab")->capture_default_str();
  kubeconfig_command->callback([name] {
    if (auto done = print_kubeconfig(*name); !done) report("lab kubeconfig", done.error());
  });
  CLI::App* exec_command = lab->add_subcommand(
      "exec", "Run a command of this machine in a pod: carrick lab exec NAMESPACE/POD -- COMMAND...");
  auto pod = std::make_shared<std::string>();
  auto words = std::make_shared<std::vector<std::string>>();
  exec_command->add_option("--name,--lab", *name, "name of the lab")->capture_default_str();
  auto container = std::make_shared<std::string>();
  exec_command->add_option("-c,--container", *container, "one of the pod's (default: its first)");
  exec_command->add_option("pod", *pod, "NAMESPACE/POD")->required();
  exec_command->add_option("command", *words, "after --")->required();
  exec_command->callback([name, pod, container, words] {
    if (auto done = exec(*name, *pod, *container, *words); !done) report("lab exec", done.error());
  });
  add_processes(app);
}

}  // namespace carrick::app
