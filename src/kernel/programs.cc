#include "kernel/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/fd.h"
#include "dataplane.skel.h"
#include "kernel/cgroups.h"
#include "kernel/link_programs.h"

namespace carrick::kernel {
namespace {

// What libbpf says goes into the error of the call that made it speak, never to stderr.
thread_local std::string libbpf_words;

__attribute__((format(printf, 2, 0))) int collect_words(libbpf_print_level level, const char* format,
                                                        va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[2048];
  std::vsnprintf(line, sizeof line, format, arguments);
  libbpf_words += line;
  if (libbpf_words.size() > 16384) libbpf_words.erase(0, libbpf_words.size() - 16384);  // the end tells why
  return 0;
}

std::string last_words() {
  std::string words = std::move(libbpf_words);
  libbpf_words.clear();
  while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
  constexpr size_t kTail = 1200;
  return words.size() > kTail ? "..." + words.substr(words.size() - kTail) : words;
}

struct SkeletonCloser {
  void operator()(dataplane* skeleton) const { dataplane::destroy(skeleton); }
};
struct RingCloser {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

constexpr std::array kPinnedMaps = {"config",   "pods",    "peers",     "cidrs",   "policy",   "frontends",
                                    "backends", "members", "choices",   "sources", "affinity", "hits",
                                    "sockets",  "flows",   "fragments", "drops"};

void set_sizes(dataplane& skeleton, const MapSizes& sizes) {
  const auto& maps = skeleton.maps;
  bpf_map__set_max_entries(maps.pods, sizes.pods);
  bpf_map__set_max_entries(maps.peers, sizes.peers);
  bpf_map__set_max_entries(maps.cidrs, sizes.cidrs);
  bpf_map__set_max_entries(maps.policy, sizes.policy);
  bpf_map__set_max_entries(maps.frontends, sizes.frontends);
  bpf_map__set_max_entries(maps.backends, sizes.backends);
  bpf_map__set_max_entries(maps.members, sizes.members);
  bpf_map__set_max_entries(maps.sources, sizes.sources);
  bpf_map__set_max_entries(maps.choices, sizes.choices);
  bpf_map__set_max_entries(maps.affinity, sizes.affinity);
  bpf_map__set_max_entries(maps.hits, sizes.hits);
  bpf_map__set_max_entries(maps.sockets, sizes.sockets);
  bpf_map__set_max_entries(maps.flows, sizes.flows);
  bpf_map__set_max_entries(maps.fragments, sizes.fragments);
  bpf_map__set_max_entries(maps.events, sizes.event_bytes);
}

// The coarse clock moves once a tick, so its resolution tells CONFIG_HZ.
uint32_t flow_clock_shift() {
  timespec tick{};
  ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  const double ticks_per_second = 1e9 / static_cast<double>(std::max(tick.tv_nsec, 1L));
  return static_cast<uint32_t>(std::lround(std::log2(ticks_per_second)));
}

// A pinned map is used again only when every number of its layout is the same.
bool same_layout(int fd, const bpf_map* map) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == bpf_map__type(map) &&
         info.key_size == bpf_map__key_size(map) && info.value_size == bpf_map__value_size(map) &&
         info.max_entries == bpf_map__max_entries(map) && info.map_flags == bpf_map__map_flags(map);
}

std::string map_directory(const std::string& pins) { return fmt::format("{}/maps-v{}", pins, WIRE_VERSION); }

Result<void> adopt_pinned(dataplane& skeleton, const std::string& pins) {
  std::error_code error;
  std::filesystem::create_directories(map_directory(pins), error);
  if (error)
    return fail(ErrorKind::kUnsupported, "create {} (is it in a bpffs?): {}", map_directory(pins), error.message());
  for (const char* name : kPinnedMaps) {
    const std::string path = map_directory(pins) + "/" + name;
    bpf_map* map = bpf_object__find_map_by_name(skeleton.obj, name);
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd) continue;
    if (same_layout(fd.get(), map) && bpf_map__reuse_fd(map, fd.get()) == 0) continue;
    std::filesystem::remove(path, error);
  }
  return {};
}

Result<void> pin_new(dataplane& skeleton, const std::string& pins) {
  for (const char* name : kPinnedMaps) {
    const std::string path = map_directory(pins) + "/" + name;
    if (std::filesystem::exists(path)) continue;
    if (bpf_obj_pin(bpf_map__fd(bpf_object__find_map_by_name(skeleton.obj, name)), path.c_str()))
      return fail_errno(errno, "pin " + path);
  }
  return {};
}

// By Attachment.
constexpr std::array kIngressPrograms = {"from_pod", "from_netdev", "from_overlay"};
constexpr const char* kPodIngress = kIngressPrograms[static_cast<size_t>(Attachment::kPod)];
constexpr std::array kEgressPrograms = {"to_pod", "to_netdev", "to_overlay"};

class LinuxPrograms : public Programs {
 public:
  explicit LinuxPrograms(std::string pins) : pins_(std::move(pins)) {}

  // Descriptors of a loaded object. Of the object itself nothing is needed any more, and it holds megabytes: every
  // instruction, its types and its lines.
  Result<void> take_over(const bpf_object* object) {
    bpf_map* each;
    bpf_object__for_each_map(each, object) {
      const std::string name = bpf_map__name(each);
      const int fd = bpf_map__fd(each);
      if (name == "drops") drops_ = TRY(copy_of(fd));
      if (name == "events") events_ = TRY(copy_of(fd));
      auto map = open_map(TRY(copy_of(fd)));
      if (!map) return std::unexpected(map.error());
      maps_[name] = std::move(*map);
    }
    bpf_program* program;
    bpf_object__for_each_program(program, object) {
      programs_[bpf_program__name(program)] = TRY(copy_of(bpf_program__fd(program)));
    }
    return {};
  }

  Map* map(std::string_view name) override {
    const auto found = maps_.find(name);
    return found == maps_.end() ? nullptr : found->second.get();
  }

  Result<void> attach(uint32_t ifindex, Attachment as) override {
    const auto place = static_cast<size_t>(as);
    const std::string in = kIngressPrograms[place], out = kEgressPrograms[place];
    const auto life = as == Attachment::kPod ? LinkLife::kPassing : LinkLife::kLasting;
    TRY_VOID(attach_to_link(ifindex, Direction::kIngress, fd_of(in), in, life));
    return attach_to_link(ifindex, Direction::kEgress, fd_of(out), out, life);
  }

  Result<void> detach(uint32_t ifindex) override {
    for (const auto direction : {Direction::kIngress, Direction::kEgress}) {
      const auto& names = direction == Direction::kIngress ? kIngressPrograms : kEgressPrograms;
      for (const char* name : names) TRY_VOID(detach_from_link(ifindex, direction, name));
    }
    libbpf_words.clear();
    return {};
  }

  Result<void> attach_busy(uint32_t ifindex) override {
    return attach_first(ifindex, Direction::kIngress, fd_of(kPodIngress), kPodIngress);
  }

  bool is_busy(uint32_t ifindex) override { return has_first(ifindex, Direction::kIngress, kPodIngress); }

  Result<void> attach_cgroup(const std::string& path) override {
    const std::array<CgroupProgram, 8> programs = {
        {{"connect4", fd_of("connect4"), BPF_CGROUP_INET4_CONNECT},
         {"connect6", fd_of("connect6"), BPF_CGROUP_INET6_CONNECT},
         {"sendmsg4", fd_of("sendmsg4"), BPF_CGROUP_UDP4_SENDMSG},
         {"sendmsg6", fd_of("sendmsg6"), BPF_CGROUP_UDP6_SENDMSG},
         {"recvmsg4", fd_of("recvmsg4"), BPF_CGROUP_UDP4_RECVMSG},
         {"recvmsg6", fd_of("recvmsg6"), BPF_CGROUP_UDP6_RECVMSG},
         {"getpeername4", fd_of("getpeername4"), BPF_CGROUP_INET4_GETPEERNAME},
         {"getpeername6", fd_of("getpeername6"), BPF_CGROUP_INET6_GETPEERNAME}}};
    auto links = attach_to_cgroup(path, programs, pins_.empty() ? "" : pins_ + "/links");
    if (!links) return std::unexpected(links.error());
    cgroup_links_ = std::move(*links);
    return {};
  }

  Result<std::vector<uint64_t>> counters() override {
    return read_counters(drops_.get(), HOOK_COUNT * WIRE_DROP_SLOTS);
  }

  Result<flow_sweep> sweep_flows() override {
    flow_sweep done{};
    // The kernel writes a syscall program's context back to where it came from.
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &done, .ctx_size_in = sizeof(done));
    if (const int failed = bpf_prog_test_run_opts(fd_of("sweep"), &options))
      return fail_errno(-failed, "sweep the flow table");
    return done;
  }

  int event_fd() override { return ring() ? ring_buffer__epoll_fd(ring_.get()) : -1; }

  Result<size_t> read_events(const std::function<void(const drop_event&)>& sink, size_t at_most) override {
    if (!ring()) return fail(ErrorKind::kUnsupported, "ring buffer of drop events: {}", last_words());
    sink_ = &sink;
    taken_ = 0;
    at_most_ = at_most;
    // libbpf itself reads on as long as events come, which may be for ever.
    const int count = at_most > 0 ? ring_buffer__consume(ring_.get()) : 0;
    sink_ = nullptr;
    if (count < 0 && count != kEnough) return fail_errno(-count, "read drop events");
    return taken_;
  }

  int fd_of(std::string_view name) const {
    const auto program = programs_.find(name);
    return program == programs_.end() ? -1 : program->second.get();
  }

 private:
  static int on_event(void* self, void* data, size_t size) {
    auto* programs = static_cast<LinuxPrograms*>(self);
    if (size >= sizeof(drop_event) && programs->sink_) (*programs->sink_)(*static_cast<const drop_event*>(data));
    return ++programs->taken_ < programs->at_most_ ? 0 : kEnough;  // this one is taken in either case
  }
  static constexpr int kEnough = -ECANCELED;

  ring_buffer* ring() {
    if (!ring_) ring_.reset(ring_buffer__new(events_.get(), &on_event, this, nullptr));
    return ring_.get();
  }

  static Result<Fd> copy_of(int fd) {
    Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail_errno(errno, "duplicate a descriptor of BPF");
    return copy;
  }

  std::string pins_;
  std::map<std::string, std::unique_ptr<Map>, std::less<>> maps_;
  std::map<std::string, Fd, std::less<>> programs_;
  Fd drops_, events_;
  std::unique_ptr<ring_buffer, RingCloser> ring_;
  const std::function<void(const drop_event&)>* sink_ = nullptr;
  size_t taken_ = 0, at_most_ = 0;
  std::vector<Fd> cgroup_links_;
};

}  // namespace

MapSizes MapSizes::lab() {
  MapSizes sizes;
  sizes.pods = 1024;
  sizes.peers = 16384;
  sizes.cidrs = 4096;
  sizes.policy = 65536;
  sizes.frontends = 32768;
  sizes.backends = sizes.members = 32768;
  sizes.sources = 4096;
  sizes.choices = 16384;
  sizes.flows = 16384;
  sizes.affinity = sizes.sockets = sizes.hits = 2048;
  sizes.fragments = 256;
  sizes.event_bytes = 64 * 1024;
  return sizes;
}

Result<std::unique_ptr<Programs>> load_programs(const ProgramOptions& options) {
  libbpf_set_print(&collect_words);
  libbpf_words.clear();
  std::unique_ptr<dataplane, SkeletonCloser> skeleton(dataplane::open());
  if (!skeleton) return fail(ErrorKind::kUnsupported, "open the BPF object: {}", last_words());
  set_sizes(*skeleton, options.sizes);
  skeleton->rodata->flow_clock_shift = flow_clock_shift();
  if (!options.pin_directory.empty()) TRY_VOID(adopt_pinned(*skeleton, options.pin_directory));
  if (const int failed = dataplane::load(skeleton.get()))
    return fail(ErrorKind::kUnsupported, "this kernel does not take the data plane ({}): {}", std::strerror(-failed),
                last_words());
  if (!options.pin_directory.empty()) TRY_VOID(pin_new(*skeleton, options.pin_directory));
  auto programs = std::make_unique<LinuxPrograms>(options.pin_directory);
  TRY_VOID(programs->take_over(skeleton->obj));
  return programs;
}

Result<void> unpin_programs(const std::string& pin_directory) {
  std::error_code error;
  std::filesystem::remove_all(pin_directory, error);
  if (error) return fail(ErrorKind::kTransient, "remove pins in {}: {}", pin_directory, error.message());
  return {};
}

int program_fd(Programs& programs, std::string_view name) {
  auto* linux_programs = dynamic_cast<LinuxPrograms*>(&programs);
  return linux_programs ? linux_programs->fd_of(name) : -1;
}

}  // namespace carrick::kernel
