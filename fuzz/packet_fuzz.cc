// rooms: net

// Frames as bytes: whatever comes is read without leaving the buffer, and what is read has a text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view frame(reinterpret_cast<const char*>(data), size);
  const auto view = carrick::net::parse_frame(frame);
  if (!view) return 0;
  if (view->str().empty()) std::abort();
  const bool inside =
      view->payload.empty() || (view->payload.data() >= frame.data() &&
                                view->payload.data() + view->payload.size() <= frame.data() + frame.size());
  if (!inside) std::abort();
  return 0;
}
