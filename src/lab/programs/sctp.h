#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "net/ip.h"

// The four messages by which an SCTP association begins (RFC 9260 5.1), over raw IP, for kernels without SCTP. Nothing
// else of the protocol is here: an association is made and aborted.
namespace carrick::lab {

enum class SctpChunk : uint8_t { kInit = 1, kInitAck = 2, kAbort = 6, kCookieEcho = 10, kCookieAck = 11 };

struct SctpPacket {
  uint16_t from = 0, to = 0;
  uint32_t tag = 0;  // verification tag
  SctpChunk chunk = SctpChunk::kInit;
  uint32_t initiate_tag = 0;  // of kInit and kInitAck
  std::string cookie;         // of kInitAck and kCookieEcho
  bool operator==(const SctpPacket&) const = default;
};
std::vector<uint8_t> encode_sctp(const SctpPacket& packet);
// The first chunk; nothing when the packet is none, its checksum is wrong, or its chunk is not one of those above.
std::optional<SctpPacket> decode_sctp(std::span<const uint8_t> bytes);
uint32_t crc32c(std::span<const uint8_t> bytes);

// Makes an association and aborts it. kTransient: no answer within the time; kConflict: it was refused.
Result<void> connect_sctp(const net::IpAddress& to, uint16_t port, std::chrono::milliseconds limit);
// Answers on these ports, in both families, until the process ends.
Result<void> serve_sctp(const std::vector<uint16_t>& ports);

}  // namespace carrick::lab
