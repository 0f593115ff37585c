// rooms: dns

// What arrives on port 53: a datagram is decoded, answered from a small zone, encoded within the limits of UDP and
// decoded again; the same bytes are also read as an upstream's answer.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "dns/forward/cache.h"
#include "dns/message/message.h"
#include "dns/transport/responder.h"
#include "dns/zone/zone.h"

using namespace carrick;
using namespace carrick::dns;

namespace {

const Zone& zone() {
  static const Zone kZone = [] {
    auto table = std::make_shared<desired::NameTable>();
    table->synced = true;
    table->namespaces = {"default"};
    for (const char* name : {"svc", "pod", "default.svc", "default.pod"}) table->names[name];
    auto address = net::IpAddress::parse("10.96.0.7").value();
    table->names["web.default.svc"].addresses = {address, net::IpAddress::parse("2001:db8:96::7").value()};
    table->names["web.default.svc"].services = {{0, 100, 80, "web.default.svc"}};
    table->names["_http._tcp.web.default.svc"].services = {{0, 100, 80, "web.default.svc"}};
    table->names["ext.default.svc"].cname = "www.example.com";
    table->names["loop.default.svc"].cname = "loop.default.svc.cluster.local";
    table->names["dns-version"].texts = {"1.1.0"};
    table->reverse[address] = {"web.default.svc"};
    table->reverse_zones = {net::Prefix::parse("10.96.0.0/16").value(),
                            net::Prefix::parse("2001:db8:96::/112").value()};
    return Zone(table);
  }();
  return kZone;
}

void answer(std::span<const uint8_t> wire) {
  auto query = decode_query(wire);
  if (!query) {
    if (!query.error().silent && query.error().rcode == kNoError) std::abort();
    return;
  }
  Message reply = reply_to(*query);
  if (auto refusal = refuse(*query)) {
    reply = *refusal;
  } else {
    Answer found = zone().resolve(*query->question);
    reply.rcode = found.rcode;
    reply.answer = found.answer;
    reply.authority = found.authority;
    reply.additional = found.additional;
  }
  auto out = encode(reply, 512);
  if (out.size() > 512) std::abort();
  auto back = decode_response(out);
  if (!back || back->id != query->id || back->rcode != reply.rcode || !(back->question == query->question))
    std::abort();
  for (const Record& record : back->answer) (void)record_text(record);
}

void read_answer(std::span<const uint8_t> wire) {
  auto response = decode_response(wire);
  if (!response) return;
  Cache cache(Cache::Bounds{});
  cache.put("key", *response, Cache::Clock::time_point());
  for (const Record& record : response->answer) {
    (void)record_text(record);
    (void)target_of(record);
    (void)address_of(record);
    (void)soa_minimum(record);
  }
  (void)encode(*response, 1232);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  answer({data, size});
  read_answer({data, size});
  return 0;
}
