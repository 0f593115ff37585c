#include "kernel/link_counters.h"

#include <charconv>

#include "base/file.h"
#include "base/text.h"

namespace carrick::kernel {

std::map<std::string, uint64_t> parse_received_packets(std::string_view text) {
  std::map<std::string, uint64_t> out;
  for (std::string_view line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view name = line.substr(0, colon), rest = line.substr(colon + 1);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    // "bytes packets errs ..."
    const size_t bytes = std::min(rest.find_first_not_of(' '), rest.size());
    const size_t behind = std::min(rest.find(' ', bytes), rest.size());
    const size_t packets = std::min(rest.find_first_not_of(' ', behind), rest.size());
    uint64_t count = 0;
    if (std::from_chars(rest.data() + packets, rest.data() + rest.size(), count).ec == std::errc())
      out[std::string(name)] = count;
  }
  return out;
}

Result<std::map<std::string, uint64_t>> received_packets() {
  return parse_received_packets(TRY(read_file("/proc/thread-self/net/dev")));
}

}  // namespace carrick::kernel
