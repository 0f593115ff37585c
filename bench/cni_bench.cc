#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "cni/plumb.h"
#include "kernel/netns.h"
#include "lab/lab.h"

// cni_bench [--lab NAME --node NODE --cni PATH] [--pods 200] [--json FILE]
// (1) the plumbing inside ADD, in namespaces of its own: one veth with addresses, routes and neighbours on both sides;
// (2) with a lab: whole carrick-cni processes, from fork to exit, ADD and DEL against the node's agent, so the pod is
// realized. Exit 0 reached, 1 not, 2 bad call or a failing ADD.
extern char** environ;

namespace carrick::bench {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

struct Flags {
  std::string lab, node, cni, json_file;
  int pods = 200;
  bool inside = false;  // of the lab's mount and PID namespaces
};

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double percentile(std::vector<double> values, double p) {
  std::ranges::sort(values);
  return values.empty()
             ? 0
             : values[std::min(values.size() - 1, static_cast<size_t>(p * static_cast<double>(values.size())))];
}

// A folder of namespace mounts that is removed with everything in it.
class Namespaces {
 public:
  explicit Namespaces(std::string folder) : folder_(std::move(folder)) { std::filesystem::create_directories(folder_); }
  ~Namespaces() {
    for (const std::string& path : paths_) (void)kernel::delete_netns(path);
    std::error_code ignored;
    std::filesystem::remove(folder_, ignored);
  }
  Result<std::string> add() {
    std::string path = fmt::format("{}/{}", folder_, paths_.size());
    TRY_VOID(kernel::create_netns(path));
    paths_.push_back(path);
    return path;
  }

 private:
  std::string folder_;
  std::vector<std::string> paths_;
};

std::string scratch(const char* what) { return fmt::format("/run/carrick-bench-{}-{}", ::getpid(), what); }

Result<std::vector<double>> time_plumbing(int pods) {
  Fd node = TRY(kernel::create_anonymous_netns());
  Namespaces spaces(scratch("plumb"));
  std::vector<std::string> paths;
  for (int i = 0; i < pods; ++i) paths.push_back(TRY(spaces.add()));
  return kernel::in_netns(node.get(), [&]() -> Result<std::vector<double>> {
    auto plumber = TRY(cni::Plumber::open(kernel::linux_network()));
    TRY_VOID(cni::prepare_node(kernel::linux_network()));
    std::vector<double> out;
    for (int i = 0; i < pods; ++i) {
      cni::PodPlumbRequest request{.id = fmt::format("bench-{}", i), .netns = paths[static_cast<size_t>(i)]};
      request.addresses = {net::IpAddress::v4(0x0a010100u + static_cast<uint32_t>(i)),
                           net::IpAddress::parse("2001:db8:1:1::").value().plus(static_cast<uint64_t>(i) + 1)};
      request.attach = [](uint32_t) { return Result<void>(); };
      auto begin = Clock::now();
      TRY(plumber.plumb(request));
      out.push_back(milliseconds_since(begin));
    }
    return out;
  });
}

// Runs the plugin with the configuration on its standard input; how long that took.
Result<double> call_plugin(const std::string& plugin, const std::string& config_file,
                           std::vector<std::string> environment) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, config_file.c_str(), O_RDONLY, 0);
  std::string output = config_file + ".out";
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<char*> argv = {const_cast<char*>(plugin.c_str()), nullptr}, envp;
  for (std::string& word : environment) envp.push_back(word.data());
  envp.push_back(nullptr);
  pid_t child = 0;
  auto begin = Clock::now();
  int error = ::posix_spawn(&child, plugin.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno(error, plugin);
  int status = 0;
  ::waitpid(child, &status, 0);
  double taken = milliseconds_since(begin);
  std::ifstream file(output);
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(output);
  if (status != 0) return fail(ErrorKind::kInternal, "{}: {}", plugin, text);
  return taken;
}

struct CallTimes {
  std::vector<double> add, del;
};

Result<CallTimes> time_calls(const Flags& flags) {
  lab::LabPaths inner{flags.lab, ""};
  Fd node = TRY(kernel::open_netns(inner.node_netns(flags.node)));
  Namespaces spaces(scratch("cni"));
  std::string config_file = scratch("config.json");
  json::object config{{"cniVersion", "1.1.0"},
                      {"name", "carrick"},
                      {"type", "carrick-cni"},
                      {"socket", inner.node_cni_socket(flags.node)}};
  std::ofstream(config_file) << json::serialize(config);
  auto environment = [&](const char* verb, int i, const std::string& netns) {
    return std::vector<std::string>{fmt::format("CNI_COMMAND={}", verb),
                                    fmt::format("CNI_CONTAINERID=bench{:059}", i),
                                    "CNI_IFNAME=eth0",
                                    "CNI_NETNS=" + netns,
                                    "CNI_PATH=/",
                                    "CNI_ARGS=IgnoreUnknown=1"};
  };
  auto out = kernel::in_netns(node.get(), [&]() -> Result<CallTimes> {
    CallTimes times;
    for (int i = 0; i < flags.pods; ++i) {
      std::string netns = TRY(spaces.add());
      times.add.push_back(TRY(call_plugin(flags.cni, config_file, environment("ADD", i, netns))));
      times.del.push_back(TRY(call_plugin(flags.cni, config_file, environment("DEL", i, netns))));
    }
    return times;
  });
  std::filesystem::remove(config_file);
  return out;
}

struct Printer {
  TextTable table{{"WHAT", "P50 ms", "P99 ms", "REACH p99", ""}};
  json::array results;
  bool all = true;

  void add(const char* what, const std::vector<double>& values, double reach) {
    double p99 = percentile(values, 0.99);
    bool reached = reach <= 0 || p99 <= reach;
    all &= reached;
    table.add({what, fmt::format("{:.2f}", percentile(values, 0.5)), fmt::format("{:.2f}", p99),
               reach > 0 ? fmt::format("<= {:.0f}", reach) : "", reach > 0 ? (reached ? "PASS" : "FAIL") : ""});
    results.push_back(json::object{{"what", what},
                                   {"p50_ms", percentile(values, 0.5)},
                                   {"p99_ms", p99},
                                   {"reach_ms", reach},
                                   {"reached", reached}});
  }
};

Result<bool> bench(const Flags& flags) {
  Printer printer;
  printer.add("pod plumbing inside ADD", TRY(time_plumbing(flags.pods)), 5);
  if (!flags.lab.empty()) {
    auto times = TRY(time_calls(flags));
    printer.add("carrick-cni ADD, exec to exit", times.add, 15);
    printer.add("carrick-cni DEL, exec to exit", times.del, 0);
  }
  std::printf("%s%d pods\n", printer.table.str().c_str(), flags.pods);
  if (!flags.json_file.empty())
    std::ofstream(flags.json_file) << json::serialize(json::object{{"cni", printer.results}}) << "\n";
  return printer.all;
}

bool parse_flags(int argc, char** argv, Flags& flags) {
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string_view flag = argv[i];
    if (flag == "--lab")
      flags.lab = argv[i + 1];
    else if (flag == "--node")
      flags.node = argv[i + 1];
    else if (flag == "--cni")
      flags.cni = argv[i + 1];
    else if (flag == "--json")
      flags.json_file = argv[i + 1];
    else if (flag == "--inside")
      flags.inside = std::string_view(argv[i + 1]) == "yes";
    else if (flag == "--pods")
      flags.pods = std::atoi(argv[i + 1]);
    else
      return false;
  }
  return argc % 2 == 1 && flags.pods > 0 && (flags.lab.empty() || (!flags.node.empty() && !flags.cni.empty()));
}

// The agent opens a pod's namespace by its path, so we have to live where it does. Returns only on failure.
Result<void> go_inside(const Flags& flags, int argc, char** argv) {
  auto running = TRY(lab::find_running_lab(flags.lab));
  std::string init = std::to_string(running.record.pid),
              self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<std::string> words = {"nsenter", "--target", init, "--mount", "--pid", "--", self};
  words.insert(words.end(), argv + 1, argv + argc);
  words.insert(words.end(), {"--inside", "yes"});
  std::vector<char*> command;
  for (std::string& word : words) command.push_back(word.data());
  command.push_back(nullptr);
  ::execvp(command[0], command.data());
  return fail_errno(errno, "nsenter");
}

}  // namespace
}  // namespace carrick::bench

int main(int argc, char** argv) {
  carrick::bench::Flags flags;
  if (!carrick::bench::parse_flags(argc, argv, flags)) {
    std::fprintf(stderr, "cni_bench [--lab NAME --node NODE --cni PATH] [--pods N] [--json FILE]\n");
    return 2;
  }
  if (!flags.lab.empty() && !flags.inside) {
    auto inside = carrick::bench::go_inside(flags, argc, argv);
    std::fprintf(stderr, "cni_bench: %s\n", inside.error().message.c_str());
    return 2;
  }
  auto reached = carrick::bench::bench(flags);
  if (!reached) {
    std::fprintf(stderr, "cni_bench: %s\n", reached.error().message.c_str());
    return 2;
  }
  return *reached ? 0 : 1;
}
