#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kernel/programs.h"
#include "net/packet.h"
#include "realize/realize.h"
#include "wire/flows.h"

// One node's data plane: a loaded object with its own maps, the node's tables realized in them, packets by
// BPF_PROG_TEST_RUN.
namespace carrick::testing {

// Links exist only because the kernel wants their numbers: one for each pod of the scenario, and the uplink.
inline constexpr uint32_t kUplinkLink = 4000;
// A new network namespace of this process with that link, addresses of both families and default routes on it.
Result<void> enter_namespace_of_our_own();
// Links up to this number are there afterwards.
Result<void> make_links(uint32_t last);

enum class Action { kPass = 0, kDrop = 2, kRedirect = 7 };

struct ProgramRun {
  Action action{};
  std::string frame;
  std::string reason;              // word of the drop event; empty when there was none
  std::optional<flow_value> flow;  // the entry of the frame as it came, when there is one now
};

class NodePlane {
 public:
  static Result<std::unique_ptr<NodePlane>> load();
  // Forgets flows and affinity; kInternal names the first row that failed.
  Result<void> realize(const desired::Tables& tables, const std::vector<net::IpAddress>& addresses);
  // `ingress_link` 0: made by a process of the node. kInternal: the kernel did not run it.
  Result<ProgramRun> run(const std::string& program, const std::string& frame, uint32_t link, uint32_t ingress_link);
  kernel::Programs& programs() { return *programs_; }

 private:
  explicit NodePlane(std::unique_ptr<kernel::Programs> programs) : programs_(std::move(programs)) {}
  std::unique_ptr<kernel::Programs> programs_;
  std::unique_ptr<realize::Realizer> realizer_;
  uint64_t revision_ = 0;
};

}  // namespace carrick::testing
