#pragma once

#include <poll.h>

#include <chrono>
#include <string>
#include <vector>

// What a lab may leave behind on a machine, and how its tests start programs.
namespace carrick::test {

struct ProgramEnd {
  int code = -1;  // 128 + signal when killed
  std::string out, err;
};
// Runs bin/carrick (CARRICK_BIN, else the build's own) to its end.
ProgramEnd carrick(const std::vector<std::string>& arguments);

// Everything of the kernel's that this machine holds now. Namespaces are those of living processes and of mounts.
struct MachineState {
  size_t links = 0, mounts = 0, cgroups = 0, bpf_programs = 0, bpf_maps = 0, carrick_processes = 0, network_namespaces = 0;
  bool operator==(const MachineState&) const = default;
  std::string str() const;
};
MachineState machine_state();

// Asks again until `done` is true or the time is over; whether it came true. For what the kernel finishes in the background
// (namespaces, BPF objects), which sends no event.
template <class F>
bool comes_true(F done, int timeout_ms = 5000) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 20);
  }
  return true;
}

std::string read_file(const std::string& path);

}  // namespace carrick::test
