#include "realize/choice.h"

#include <algorithm>

namespace carrick::realize {
namespace {

constexpr uint16_t kNobody = 0xffff;

// The places that a backend wishes for, in order: each of them once, as the number of places is prime.
struct Wishes {
  uint32_t next, step;
  void pass() {
    next += step;
    if (next >= CHOICE_PLACES) next -= CHOICE_PLACES;
  }
};

}  // namespace

std::vector<uint16_t> choice_table(const std::vector<net::SocketAddress>& backends) {
  if (backends.size() < 2 || backends.size() >= kNobody) return {};
  std::vector<Wishes> wishes;
  wishes.reserve(backends.size());
  for (const auto& backend : backends) {
    const uint64_t hash = net::stable_hash(backend.str());
    wishes.push_back(
        {static_cast<uint32_t>(hash) % CHOICE_PLACES, static_cast<uint32_t>(hash >> 32) % (CHOICE_PLACES - 1) + 1});
  }
  std::vector<uint16_t> out(CHOICE_PLACES, kNobody);
  for (size_t taken = 0;;) {
    for (size_t i = 0; i < wishes.size(); ++i) {
      while (out[wishes[i].next] != kNobody) wishes[i].pass();
      out[wishes[i].next] = static_cast<uint16_t>(i);
      if (++taken == out.size()) return out;
    }
  }
}

std::vector<choice_value> choice_chunks(const std::vector<net::SocketAddress>& backends) {
  const auto table = choice_table(backends);
  const bool wide = backends.size() > CHOICE_NARROW;
  const size_t places = wide ? CHOICE_CHUNK / 2 : CHOICE_CHUNK;
  std::vector<choice_value> out;
  for (size_t first = 0; first < table.size(); first += places) {
    auto& chunk = out.emplace_back();
    const auto from = table.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = static_cast<std::ptrdiff_t>(std::min(places, table.size() - first));
    if (wide)
      std::copy_n(from, count, chunk.wide);
    else
      std::transform(from, from + count, chunk.narrow, [](uint16_t slot) { return static_cast<uint8_t>(slot); });
  }
  return out;
}

}  // namespace carrick::realize
