// rooms: k8s

// A body in Kubernetes protobuf. What can be read is JSON, and survives being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "k8s/protobuf.h"

using namespace carrick;
using namespace carrick::k8s;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto first = decode_protobuf({reinterpret_cast<const char*>(data), size});
  if (!first) {
    require(first.error().kind == ErrorKind::kInvalid);
    return 0;
  }
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 400;
  json::parse(json::serialize(*first), error, {}, options);
  require(!error);
  const auto written = encode_protobuf(*first);
  if (!written) return 0;  // JSON in an envelope, of any kind
  const auto second = decode_protobuf(*written);
  require(second.has_value());
  const auto again = encode_protobuf(*second);
  require(again.has_value());
  const auto third = decode_protobuf(*again);
  require(third.has_value() && *third == *second);
  return 0;
}
