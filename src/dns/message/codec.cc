#include <algorithm>
#include <cstring>
#include <memory_resource>

#include "dns/message/message.h"

extern "C" {  // the headers of libknot 3.2 lack it
#include <libknot/libknot.h>
}

namespace carrick::dns {
namespace {

// libknot allocates a few arrays per packet; all of them die with this arena, so nothing is freed one by one.
class Arena {
 public:
  Arena() : resource_(first_, sizeof first_), mm_{this, allocate, release} {}
  Arena(const Arena&) = delete;
  knot_mm_t* mm() { return &mm_; }

 private:
  static void* allocate(void* self, size_t size) { return static_cast<Arena*>(self)->resource_.allocate(size); }
  static void release(void*) {}

  alignas(std::max_align_t) char first_[8192];
  std::pmr::monotonic_buffer_resource resource_;
  knot_mm_t mm_;
};

Name question_name(const knot_pkt_t* packet) {
  const uint8_t* wire = knot_pkt_wire_qname(packet);
  return Name::from_wire(wire, knot_dname_size(wire));
}

void take_edns(const knot_pkt_t* packet, Message& message) {
  if (!knot_pkt_has_edns(packet)) return;
  Edns edns;
  edns.udp_size = knot_edns_get_payload(packet->opt_rr);
  edns.version = knot_edns_get_version(packet->opt_rr);
  edns.dnssec_ok = knot_edns_do(packet->opt_rr);
  if (uint8_t* option = knot_pkt_edns_option(packet, KNOT_EDNS_OPTION_NSID))
    edns.nsid = std::string(reinterpret_cast<char*>(knot_edns_opt_get_data(option)), knot_edns_opt_get_length(option));
  message.edns = std::move(edns);
}

void take_section(const knot_pkt_t* packet, knot_section_t id, std::vector<Record>& out) {
  const knot_pktsection_t* section = knot_pkt_section(packet, id);
  for (uint16_t i = 0; i < section->count; ++i) {
    const knot_rrset_t* set = knot_pkt_rr(section, i);
    if (set->type == KNOT_RRTYPE_OPT || set->type == KNOT_RRTYPE_TSIG) continue;
    const knot_rdata_t* data = set->rrs.rdata;
    for (uint16_t j = 0; j < set->rrs.count; ++j, data = knot_rdataset_next(const_cast<knot_rdata_t*>(data)))
      out.push_back({Name::from_wire(set->owner, knot_dname_size(set->owner)), set->type, set->ttl,
                     std::string(reinterpret_cast<const char*>(data->data), data->len), set->rclass});
  }
}

Message take_header(const knot_pkt_t* packet) {
  const uint8_t* wire = packet->wire;
  Message message;
  message.id = knot_wire_get_id(wire);
  message.is_response = knot_wire_get_qr(wire);
  message.authoritative = knot_wire_get_aa(wire);
  message.truncated = knot_wire_get_tc(wire);
  message.recursion_desired = knot_wire_get_rd(wire);
  message.recursion_available = knot_wire_get_ra(wire);
  message.authentic_data = knot_wire_get_ad(wire);
  message.checking_disabled = knot_wire_get_cd(wire);
  message.opcode = knot_wire_get_opcode(wire);
  message.rcode = knot_pkt_ext_rcode(packet);
  if (packet->qname_size > 0)
    message.question = Question{question_name(packet), knot_pkt_qtype(packet), knot_pkt_qclass(packet)};
  take_edns(packet, message);
  return message;
}

// Parses in place: KEEPWIRE and NOCANON leave the bytes and the case alone.
knot_pkt_t* parse(std::span<const uint8_t> wire, Arena& arena) {
  knot_pkt_t* packet = knot_pkt_new(const_cast<uint8_t*>(wire.data()), static_cast<uint16_t>(wire.size()), arena.mm());
  if (!packet || knot_pkt_parse(packet, KNOT_PF_KEEPWIRE | KNOT_PF_NOCANON) != KNOT_EOK) return nullptr;
  return packet;
}

void put_flags(uint8_t* wire, const Message& message) {
  knot_wire_set_id(wire, message.id);
  knot_wire_set_opcode(wire, message.opcode);
  knot_wire_set_rcode(wire, static_cast<uint8_t>(message.rcode & 0xf));
  if (message.is_response) knot_wire_set_qr(wire);
  if (message.authoritative) knot_wire_set_aa(wire);
  if (message.truncated) knot_wire_set_tc(wire);
  if (message.recursion_desired) knot_wire_set_rd(wire);
  if (message.recursion_available) knot_wire_set_ra(wire);
  if (message.authentic_data) knot_wire_set_ad(wire);
  if (message.checking_disabled) knot_wire_set_cd(wire);
}

// False: it did not fit.
bool put_record(knot_pkt_t* packet, const Record& record) {
  alignas(uint16_t) uint8_t small[512];
  std::vector<uint8_t> large;
  uint8_t* buffer = small;
  size_t size = knot_rdata_size(static_cast<uint16_t>(record.data.size()));
  if (size > sizeof small) {
    large.resize(size + 1);
    buffer = large.data();
  }
  auto* data = reinterpret_cast<knot_rdata_t*>(buffer);
  knot_rdata_init(data, static_cast<uint16_t>(record.data.size()),
                  reinterpret_cast<const uint8_t*>(record.data.data()));
  knot_rrset_t set;
  knot_rrset_init(&set, const_cast<uint8_t*>(record.owner.bytes()), record.type, record.klass, record.ttl);
  set.rrs = {1, static_cast<uint32_t>(size), data};
  return knot_pkt_put(packet, KNOT_COMPR_HINT_NONE, &set, KNOT_PF_NOTRUNC) == KNOT_EOK;
}

bool put_section(knot_pkt_t* packet, knot_section_t id, const std::vector<Record>& records) {
  knot_pkt_begin(packet, id);
  return std::ranges::all_of(records, [&](const Record& record) { return put_record(packet, record); });
}

}  // namespace

std::expected<Message, Undecodable> decode_query(std::span<const uint8_t> wire) {
  if (wire.size() < KNOT_WIRE_HEADER_SIZE || wire.size() > 65535 || knot_wire_get_qr(wire.data()))
    return std::unexpected(Undecodable{.silent = true});
  Undecodable bad{.id = knot_wire_get_id(wire.data()),
                  .opcode = knot_wire_get_opcode(wire.data()),
                  .recursion_desired = knot_wire_get_rd(wire.data()) != 0};
  if (bad.opcode != kOpcodeQuery) {
    bad.rcode = kNotImp;
    return std::unexpected(bad);
  }
  if (knot_wire_get_qdcount(wire.data()) != 1) return std::unexpected(bad);  // RFC 9619
  Arena arena;
  knot_pkt_t* packet = parse(wire, arena);
  if (!packet || packet->qname_size == 0) return std::unexpected(bad);
  return take_header(packet);
}

Result<Message> decode_response(std::span<const uint8_t> wire) {
  if (wire.size() < KNOT_WIRE_HEADER_SIZE || wire.size() > 65535)
    return fail(ErrorKind::kInvalid, "DNS message of {} bytes", wire.size());
  if (!knot_wire_get_qr(wire.data())) return fail(ErrorKind::kInvalid, "DNS message is a query");
  if (knot_wire_get_qdcount(wire.data()) > 1) return fail(ErrorKind::kInvalid, "DNS message has several questions");
  Arena arena;
  if (wire.size() ==
      KNOT_WIRE_HEADER_SIZE) {  // FORMERR and NOTIMP may come without the question, which libknot does not parse
    knot_pkt_t* header = knot_pkt_new(const_cast<uint8_t*>(wire.data()), KNOT_WIRE_HEADER_SIZE, arena.mm());
    return header ? Result<Message>(take_header(header)) : fail(ErrorKind::kInternal, "out of memory");
  }
  knot_pkt_t* packet = parse(wire, arena);
  if (!packet) return fail(ErrorKind::kInvalid, "DNS message is malformed");
  Message message = take_header(packet);
  take_section(packet, KNOT_ANSWER, message.answer);
  take_section(packet, KNOT_AUTHORITY, message.authority);
  take_section(packet, KNOT_ADDITIONAL, message.additional);
  return message;
}

size_t encode(const Message& message, std::span<uint8_t> out, size_t limit) {
  limit = std::min({limit, out.size(), size_t{65535}});
  Arena arena;
  knot_pkt_t* packet = knot_pkt_new(out.data(), static_cast<uint16_t>(limit), arena.mm());
  if (!packet) return 0;
  knot_pkt_clear(packet);  // a new packet takes what its buffer holds for its content
  put_flags(out.data(), message);
  if (message.question)
    knot_pkt_put_question(packet, message.question->name.bytes(), message.question->klass, message.question->type);

  knot_rrset_t opt;
  if (message.edns) {
    knot_edns_init(&opt, message.edns->udp_size, static_cast<uint8_t>(message.rcode >> 4), message.edns->version,
                   arena.mm());
    if (message.edns->dnssec_ok) knot_edns_set_do(&opt);
    if (message.edns->nsid)
      knot_edns_add_option(&opt, KNOT_EDNS_OPTION_NSID, static_cast<uint16_t>(message.edns->nsid->size()),
                           reinterpret_cast<const uint8_t*>(message.edns->nsid->data()), arena.mm());
    knot_pkt_reserve(packet, static_cast<uint16_t>(knot_edns_wire_size(&opt)));
  }
  bool whole = put_section(packet, KNOT_ANSWER, message.answer);
  if (whole) whole = put_section(packet, KNOT_AUTHORITY, message.authority);
  if (whole)
    put_section(packet, KNOT_ADDITIONAL, message.additional);
  else
    knot_wire_set_tc(out.data());
  if (message.edns) {
    knot_pkt_reclaim(packet, static_cast<uint16_t>(knot_edns_wire_size(&opt)));
    if (packet->current != KNOT_ADDITIONAL) knot_pkt_begin(packet, KNOT_ADDITIONAL);
    knot_pkt_put(packet, KNOT_COMPR_HINT_NOCOMP, &opt, KNOT_PF_NOTRUNC);
  }
  return packet->size;
}

std::vector<uint8_t> encode(const Message& message, size_t limit) {
  std::vector<uint8_t> out(std::min<size_t>(limit, 65535));
  out.resize(encode(message, out, limit));
  return out;
}

std::string data_text(const Record& record) {
  std::vector<uint8_t> buffer(knot_rdata_size(static_cast<uint16_t>(record.data.size())) + 1);
  auto* data = reinterpret_cast<knot_rdata_t*>(buffer.data());
  knot_rdata_init(data, static_cast<uint16_t>(record.data.size()),
                  reinterpret_cast<const uint8_t*>(record.data.data()));
  knot_rrset_t set;
  knot_rrset_init(&set, const_cast<uint8_t*>(record.owner.bytes()), record.type, record.klass, record.ttl);
  set.rrs = {1, static_cast<uint32_t>(knot_rdata_size(data->len)), data};
  std::vector<char> text(record.data.size() * 5 + 1024);
  int size = knot_rrset_txt_dump_data(&set, 0, text.data(), text.size(), &KNOT_DUMP_STYLE_DEFAULT);
  return size < 0 ? "?" : std::string(text.data(), static_cast<size_t>(size));
}

std::string record_text(const Record& record) {
  return fmt::format("{}. {} IN {} {}", record.owner.is_root() ? "" : record.owner.text(), record.ttl,
                     type_text(record.type), data_text(record));
}

std::string type_text(uint16_t type) {
  char text[32];
  return knot_rrtype_to_string(type, text, sizeof text) > 0 ? std::string(text) : fmt::format("TYPE{}", type);
}

Result<uint16_t> parse_type(std::string_view text) {
  uint16_t type = 0;
  if (knot_rrtype_from_string(std::string(text).c_str(), &type) != 0)
    return fail(ErrorKind::kInvalid, "'{}' is no DNS record type", text);
  return type;
}

std::string rcode_text(uint16_t rcode) {
  if (rcode == kBadVers) return "BADVERS";  // 16 is BADSIG in libknot's table, which is for TSIG
  for (const knot_lookup_t* item = knot_rcode_names; item->name; ++item)
    if (item->id == rcode) return item->name;
  return fmt::format("RCODE{}", rcode);
}

}  // namespace carrick::dns
