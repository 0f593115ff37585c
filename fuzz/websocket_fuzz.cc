// rooms: apiserver

// What a client of exec or of port-forward by channels sends after its handshake. The first byte chooses the dialect.
// However the bytes are cut, the same things happen, and every answer is whole.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "apiserver/streams/upgrade.h"

using namespace carrick::apiserver;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <class Dialect, class Describe>
std::string run(Dialect& dialect, std::string_view bytes, size_t step, Describe&& describe) {
  std::string out;
  auto read = dialect.feed({}, [&](const auto& event) { out += describe(event); });
  for (size_t at = 0; read && at < bytes.size(); at += step)
    read = dialect.feed(bytes.substr(at, step), [&](const auto& event) { out += describe(event); });
  return out + (read ? "" : read.error().message) + dialect.take_output();
}

std::string describe_exec(const ExecEvent& event) {
  return std::to_string(static_cast<int>(event.kind)) + std::string(event.data) + std::to_string(event.width) + "x" +
         std::to_string(event.height) + ";";
}

std::string describe_forward(const ForwardEvent& event) {
  require(event.id < 3);
  return std::to_string(static_cast<int>(event.kind)) + std::to_string(event.id) + std::string(event.data) + ";";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool base64 = data[0] & 1;
  std::string first;
  for (const size_t step : {size, size_t{1}, size_t{7}}) {
    std::string said;
    if (data[0] & 2) {
      const auto dialect = websocket_forward(base64, {80, 443, 8080});
      said = run(*dialect, bytes, step, describe_forward);
    } else {
      const auto dialect = websocket_exec(data[0] & 4 ? 5 : 4, base64, {.in = true, .out = true, .tty = true});
      said = run(*dialect, bytes, step, describe_exec);
    }
    if (step == size) first = said;
    require(said == first);
  }
  return 0;
}
