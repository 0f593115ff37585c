#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dns/message/name.h"
#include "net/ip.h"

// A DNS message as values. The wire form is libknot's business (codec.cc); nothing else sees its types.
namespace carrick::dns {

enum Type : uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kHinfo = 13,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kIxfr = 251,
  kAxfr = 252,
  kAny = 255,
};
enum Rcode : uint16_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16
};
inline constexpr uint16_t kClassIn = 1;
inline constexpr uint16_t kClassAny = 255;
inline constexpr uint8_t kOpcodeQuery = 0;

struct Question {
  Name name;
  uint16_t type = kA;
  uint16_t klass = kClassIn;
  bool operator==(const Question&) const = default;
};

struct Record {
  Name owner;
  uint16_t type = kA;
  uint32_t ttl = 0;  // seconds
  std::string data;  // RDATA, names in it uncompressed
  uint16_t klass = kClassIn;
  bool operator==(const Record&) const = default;
};

// EDNS0 (RFC 6891). Options other than NSID (RFC 5001) are neither kept nor sent.
struct Edns {
  uint16_t udp_size = 1232;  // bytes the sender can receive
  uint8_t version = 0;
  bool dnssec_ok = false;
  std::optional<std::string> nsid;  // in a query: asked for
  bool operator==(const Edns&) const = default;
};

struct Message {
  uint16_t id = 0;
  bool is_response = false, authoritative = false, truncated = false, recursion_desired = false,
       recursion_available = false, authentic_data = false, checking_disabled = false;
  uint8_t opcode = kOpcodeQuery;
  uint16_t rcode = kNoError;  // with the extended bits of OPT
  std::optional<Question> question;
  std::vector<Record> answer, authority, additional;  // without OPT
  std::optional<Edns> edns;
  bool operator==(const Message&) const = default;
};

// What came from the wire when it is no message that can be answered as such.
struct Undecodable {
  bool silent = false;        // answer nothing: no whole header, or itself a response
  uint16_t rcode = kFormErr;  // else: answer this ...
  uint16_t id = 0;            // ... with these
  uint8_t opcode = 0;
  bool recursion_desired = false;
};

std::expected<Message, Undecodable> decode_query(std::span<const uint8_t> wire);
// kInvalid for anything that is not one whole response with at most one question.
Result<Message> decode_response(std::span<const uint8_t> wire);

// Writes the message into `out` (at most `limit` bytes, at most out.size()) and returns its size. Records of answer and
// authority that do not fit are left off with TC set; of additional, without (RFC 2181 9). OPT always fits.
size_t encode(const Message& message, std::span<uint8_t> out, size_t limit);
std::vector<uint8_t> encode(const Message& message, size_t limit = 65535);

// RDATA makers and readers.
std::string address_data(const net::IpAddress& address);  // 4 or 16 bytes, for A or AAAA
std::string name_data(const Name& name);                  // CNAME, NS, PTR
std::string srv_data(uint16_t priority, uint16_t weight, uint16_t port, const Name& target);
std::string txt_data(std::string_view text);  // split in strings of 255 bytes
std::string soa_data(const Name& mname, const Name& rname, uint32_t serial, uint32_t refresh, uint32_t retry,
                     uint32_t expire, uint32_t minimum);
Record address_record(const Name& owner, const net::IpAddress& address, uint32_t ttl);
std::optional<net::IpAddress> address_of(const Record& record);  // of A and AAAA
std::optional<Name> target_of(const Record& record);             // of CNAME, NS, PTR, SRV
std::optional<uint32_t> soa_minimum(const Record& record);

// "web.default.svc.cluster.local. 5 IN A 10.96.0.7", as dig prints it.
std::string record_text(const Record& record);
std::string data_text(const Record& record);
std::string type_text(uint16_t type);    // "AAAA", "TYPE65280"
std::string rcode_text(uint16_t rcode);  // "NXDOMAIN"
Result<uint16_t> parse_type(std::string_view text);

}  // namespace carrick::dns
