#include "desired/services/findings.h"

#include <map>

#include "base/text.h"
#include "desired/object_facts.h"
#include "desired/services/endpoints.h"

namespace carrick::desired {
namespace {

// The findings of one object.
class Notes {
 public:
  Notes(std::string_view kind, const k8s::ObjectMeta& about) : kind_(kind), about_(about) {}
  void add(std::string field, std::string sentence) {
    if (++count_ <= kMostFindings) all_.push_back({owner_of(kind_, about_, field), std::move(sentence)});
  }
  void move_to(Findings& out) {
    if (count_ > kMostFindings)
      all_.back().sentence += fmt::format("; and {} more fields of this object", count_ - kMostFindings);
    for (auto& each : all_) out.push_back(std::move(each));
  }

 private:
  std::string_view kind_;
  const k8s::ObjectMeta& about_;
  Findings all_;
  size_t count_ = 0;
};

// Text of others in a sentence of ours.
std::string quoted(std::string_view text) {
  constexpr size_t kLongest = 60;
  return text.size() <= kLongest ? fmt::format("\"{}\"", text) : fmt::format("\"{}...\"", text.substr(0, kLongest));
}

bool is_port(int64_t number) { return number >= 1 && number <= 65535; }

void note_addresses(Notes& notes, std::string_view field, const std::vector<std::string>& texts) {
  for (size_t i = 0; i < texts.size(); ++i)
    if (!net::IpAddress::parse(texts[i]))
      notes.add(fmt::format("{}[{}]", field, i),
                fmt::format("{} is no address: nothing leads there", quoted(texts[i])));
}

void note_ports(Notes& notes, const k8s::ServiceSpec& spec) {
  std::map<std::pair<int, net::Protocol>, size_t> taken;
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const auto& port = spec.ports[i];
    const std::string field = fmt::format("spec.ports[{}]", i);
    const auto protocol = protocol_or_tcp(port.protocol);
    if (protocol == net::Protocol::kAny)
      notes.add(field, fmt::format("{} is no protocol that is forwarded", quoted(port.protocol)));
    else if (!is_port(port.port))
      notes.add(field, fmt::format("{} is no port number", port.port));
    else if (auto [first, fresh] = taken.try_emplace({port.port, protocol}, i); !fresh)
      notes.add(field, fmt::format("{}/{} is spec.ports[{}] already, which counts", port.port,
                                   net::protocol_name(protocol), first->second));
    if (port.nodePort != 0 && !is_port(port.nodePort))
      notes.add(field + ".nodePort", fmt::format("{} is no port number", port.nodePort));
  }
}

void note_service(Notes& notes, const k8s::Service& service) {
  const auto& spec = service.spec;
  note_addresses(notes, "spec.clusterIPs", spec.clusterIPs);
  note_addresses(notes, "spec.externalIPs", spec.externalIPs);
  note_ports(notes, spec);
  for (size_t i = 0; i < spec.loadBalancerSourceRanges.size(); ++i) {
    const std::string_view text = trim(spec.loadBalancerSourceRanges[i]);
    if (!net::Prefix::parse(text))
      notes.add(fmt::format("spec.loadBalancerSourceRanges[{}]", i),
                fmt::format("{} is no range of addresses: nobody is let in by it", quoted(text)));
  }
  const auto& ingress = service.status.loadBalancer.ingress;
  for (size_t i = 0; i < ingress.size(); ++i)
    if (!ingress[i].ip.empty() && !net::IpAddress::parse(ingress[i].ip))
      notes.add(fmt::format("status.loadBalancer.ingress[{}]", i),
                fmt::format("{} is no address: nothing leads there", quoted(ingress[i].ip)));
}

std::string what_is_wrong(const k8s::Endpoint& endpoint, bool v4) {
  if (endpoint.addresses.empty()) return "it has no address";
  const std::string& text = endpoint.addresses.front();
  const auto address = net::IpAddress::parse(text);
  if (!address) return fmt::format("{} is no address", quoted(text));
  if (address->is_v4() != v4)
    return fmt::format("{} is not of the family of its slice, {}", quoted(text), v4 ? "IPv4" : "IPv6");
  if (!usable_endpoint_address(*address))
    return fmt::format("{} is loopback, link-local, multicast or unspecified", quoted(text));
  return {};
}

void note_slice(Notes& notes, const k8s::EndpointSlice& slice) {
  const bool v4 = slice.addressType == "IPv4";
  if (!v4 && slice.addressType != "IPv6") {
    if (slice.addressType != "FQDN")
      notes.add("addressType", fmt::format("{} is no type of address that is known", quoted(slice.addressType)));
    return;
  }
  for (size_t i = 0; i < slice.ports.size(); ++i) {
    const auto& port = slice.ports[i];
    const std::string field = fmt::format("ports[{}]", i);
    if (!port.port)
      notes.add(field, "it has no number: no connection is led to it");
    else if (!is_port(*port.port))
      notes.add(field, fmt::format("{} is no port number", *port.port));
    if (protocol_or_tcp(port.protocol.value_or("TCP")) == net::Protocol::kAny)
      notes.add(field + ".protocol", fmt::format("{} is no protocol that is forwarded", quoted(*port.protocol)));
  }
  for (size_t i = 0; i < slice.endpoints.size(); ++i)
    if (std::string why = what_is_wrong(slice.endpoints[i], v4); !why.empty())
      notes.add(fmt::format("endpoints[{}]", i), why + ": no connection is led to it");
}

}  // namespace

Findings service_findings(const k8s::Service& service, const SliceList& slices) {
  Findings out;
  if (!is_forwarded(service)) return out;
  Notes own("Service", service.metadata);
  note_service(own, service);
  own.move_to(out);
  for (const auto& slice : slices) {
    Notes notes("EndpointSlice", slice->metadata);
    note_slice(notes, *slice);
    notes.move_to(out);
  }
  return out;
}

FindingTable compile_findings(const k8s::Snapshot& snapshot) {
  static const SliceList kNoSlices;
  const auto slices = slices_by_service(snapshot);
  FindingTable out;
  for (const auto& [key, service] : snapshot.services) {
    auto own = slices.find(key);
    if (auto found = service_findings(*service, own == slices.end() ? kNoSlices : own->second); !found.empty())
      out.emplace(key, std::move(found));
  }
  return out;
}

}  // namespace carrick::desired
