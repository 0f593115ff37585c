#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/maps.h"
#include "wire/drops.h"
#include "wire/events.h"
#include "wire/flows.h"

// The BPF programs of one node: loaded once, attached to every link. The maps below are the data plane's tables.
namespace carrick::kernel {

// Entries. Memory of hashes and tries follows use; the LRU maps (flows, affinity, hits, sockets, fragments) take it at
// once: about 250 bytes an entry.
struct MapSizes {
  uint32_t pods = 1024, peers = 65536, cidrs = 16384, policy = 131072;
  uint32_t frontends = 262144, backends = 524288, members = 524288;
  uint32_t sources = 16384, choices = 262144;
  uint32_t flows = 262144, affinity = 16384, hits = 16384, sockets = 65536, fragments = 4096;
  uint32_t event_bytes = 256 * 1024;  // ring buffer; a power of two, at least a page
  static MapSizes lab();              // a node of a lab: thousands of pods on one machine, few connections each
};

struct ProgramOptions {
  std::string pin_directory;  // in a bpffs; maps and links outlive the process there. Empty: nothing outlives it
  MapSizes sizes;
};

// Where a link stands in the topology.
enum class Attachment : uint8_t { kPod, kUplink, kOverlay };

class Programs {
 public:
  virtual ~Programs() = default;

  // name: as in bpf/lib/maps.h. Lives as long as this object; null when there is no such map.
  virtual Map* map(std::string_view name) = 0;

  // Idempotent: programs that are there already are replaced in one step, without a packet in between going unjudged.
  // Links of the calling thread's network namespace. A removed link takes its programs with it.
  virtual Result<void> attach(uint32_t ifindex, Attachment as) = 0;
  virtual Result<void> detach(uint32_t ifindex) = 0;  // kNotFound is success

  // A pod's link, attached already, that carries much: what it sends is met without tc's classifier (ADR 10). Holds the
  // lock of all network devices for some 15 ms. Stays over a restart, as attach() does, and must be repeated then.
  virtual Result<void> attach_busy(uint32_t ifindex) = 0;
  virtual bool is_busy(uint32_t ifindex) = 0;

  // Socket hooks of every task in this cgroup (v2) folder and below. Pinned; a restart replaces the programs in place.
  virtual Result<void> attach_cgroup(const std::string& path) = 0;

  // Packets ended (or, reason 0, connections accepted) by hook and reason since the maps were made:
  // [hook * WIRE_DROP_SLOTS + reason].
  virtual Result<std::vector<uint64_t>> counters() = 0;

  // Takes connections out of `flows` whose time is over; about 50 ns an entry.
  virtual Result<flow_sweep> sweep_flows() = 0;

  // Hands over the drop events that wait, no more than `at_most`. event_fd() is readable while there are some; events
  // that find the ring full are lost (the counters have them).
  virtual int event_fd() = 0;
  virtual Result<size_t> read_events(const std::function<void(const drop_event&)>& sink, size_t at_most = SIZE_MAX) = 0;
};

// Opens, verifies and loads everything (about 100 ms). Pinned maps of equal layout are used again with all their rows;
// others are made anew. kUnsupported with the verifier's last words when this kernel refuses a program.
Result<std::unique_ptr<Programs>> load_programs(const ProgramOptions& options);

// Removes every pin below the directory; the kernel frees what nothing else holds.
Result<void> unpin_programs(const std::string& pin_directory);

// Program descriptor for tests by BPF_PROG_TEST_RUN; -1 when unknown.
int program_fd(Programs& programs, std::string_view name);

// Maps in memory; remembers what was attached.
class FakePrograms : public Programs {
 public:
  explicit FakePrograms(const MapSizes& sizes = {});
  Map* map(std::string_view name) override;
  FakeMap& fake_map(std::string_view name);
  Result<void> attach(uint32_t ifindex, Attachment as) override;
  Result<void> detach(uint32_t ifindex) override;
  Result<void> attach_busy(uint32_t ifindex) override;
  bool is_busy(uint32_t ifindex) override { return busy.contains(ifindex); }
  Result<void> attach_cgroup(const std::string& path) override;
  Result<std::vector<uint64_t>> counters() override;
  Result<flow_sweep> sweep_flows() override;
  int event_fd() override { return event_signal.get(); }
  Result<size_t> read_events(const std::function<void(const drop_event&)>& sink, size_t at_most = SIZE_MAX) override;
  void put_event(const drop_event& event);
  // Of the operations of all maps, one in `n` fails, by chance.
  void fail_one_in(uint32_t n, std::mt19937& random);

  std::vector<std::unique_ptr<FakeMap>> maps;
  uint64_t accepted = 0;  // connections, for counters()
  flow_sweep swept{};     // what the next sweeps say
  size_t sweeps = 0;
  std::deque<drop_event> events;
  Fd event_signal;  // an eventfd that counts them
  std::map<uint32_t, Attachment> attached;
  std::set<uint32_t> busy;
  std::set<std::string> cgroups;
};

// "egress_denied" and the like; "unknown" for a number that is none.
std::string_view drop_word(uint8_t reason);
std::string_view drop_sentence(uint8_t reason);
std::string_view hook_word(uint8_t hook);

}  // namespace carrick::kernel
