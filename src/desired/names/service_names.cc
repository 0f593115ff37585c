#include "desired/names/service_names.h"

#include <algorithm>

#include "base/text.h"
#include "desired/object_facts.h"

namespace carrick::desired {

namespace {

constexpr uint16_t kTotalWeight = 100;  // DNS-3: shared by the targets of one question

std::string port_label(const std::string& name, net::Protocol protocol) {
  return fmt::format("_{}._{}", lower(name), lower(net::protocol_name(protocol)));
}

void share_weight(NameRow& row) {
  for (auto& record : row.services)
    record.weight = static_cast<uint16_t>(std::max<size_t>(1, kTotalWeight / row.services.size()));
}

bool is_ip(const std::string& text) { return net::IpAddress::parse(text).has_value(); }

template <class T>
void sort_each_once(std::vector<T>& list) {
  std::ranges::sort(list);
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

class Writer {
 public:
  Writer(const k8s::Service& service, const SliceList& slices) : service_(service), slices_(slices) {
    base_ = lower(service.metadata.name) + "." + lower(service.metadata.namespace_) + ".svc";
    owner_ = owner_of("Service", service.metadata);
  }

  ServiceNames run() {
    if (service_.spec.type == "ExternalName") {
      write_external();
    } else {
      bool headless = service_.spec.clusterIP == "None";
      write_endpoints(headless);
      if (!headless) write_cluster_ips();
    }
    ServiceNames out{.service = base_};
    for (auto& [name, row] : rows_) {
      share_weight(row);
      out.names.emplace(name, std::move(row));
    }
    sort_each_once(reverse_);
    sort_each_once(endpoints_);
    out.reverse = std::move(reverse_);
    out.endpoints = std::move(endpoints_);
    return out;
  }

 private:
  NameRow& row(const std::string& name) {
    auto [entry, fresh] = rows_.try_emplace(name);
    if (fresh) entry->second.owner = owner_;
    return entry->second;
  }

  void add_address(const std::string& name, const net::IpAddress& address) {
    auto& list = row(name).addresses;
    if (std::ranges::find(list, address) == list.end()) list.push_back(address);
  }

  void add_srv(const std::string& name, uint16_t port, const std::string& target) {
    SrvRecord record{0, 0, port, target};
    auto& list = row(name).services;
    if (std::ranges::find(list, record) == list.end()) list.push_back(record);
  }

  // The Service's own name answers SRV for all ports (DNS-N8); `_tcp.<service>` in between exists without data (RFC
  // 8020).
  void add_port(const std::string& port_name, net::Protocol protocol, uint16_t port, const std::string& target) {
    add_srv(base_, port, target);
    if (port_name.empty()) return;
    std::string label = port_label(port_name, protocol);
    row(label.substr(label.find('.') + 1) + "." + base_);
    add_srv(label + "." + base_, port, target);
  }

  // DNS-9. An address is no name: nothing is answered.
  void write_external() {
    std::string target = lower(service_.spec.externalName);
    if (target.ends_with('.')) target.pop_back();
    if (target.empty() || is_ip(target)) return;
    row(base_).cname = target;
  }

  void write_cluster_ips() {
    auto texts = service_.spec.clusterIPs;
    if (texts.empty()) texts.push_back(service_.spec.clusterIP);
    bool any = false;
    for (const auto& text : texts) {
      auto address = net::IpAddress::parse(text);
      if (!address) continue;
      any = true;
      add_address(base_, *address);
      reverse_.emplace_back(*address, base_);
    }
    if (!any) return;  // not allocated yet
    for (const auto& port : service_.spec.ports)
      add_port(port.name, protocol_or_tcp(port.protocol), static_cast<uint16_t>(port.port), base_);
  }

  // Whether a hostname looks like an address, and may be the name of another endpoint too.
  bool hostname_like_address() const {
    for (const auto& slice : slices_)
      for (const auto& endpoint : slice->endpoints)
        if (endpoint.hostname && undashed(lower(*endpoint.hostname))) return true;
    return false;
  }

  // DNS-5 to DNS-8: ready endpoints, by hostname or by dashed address; those of a headless Service also under its own
  // name.
  void write_endpoints(bool headless) {
    const bool rows_for_all = hostname_like_address();
    for (const auto& slice : slices_) {
      if (slice->addressType != "IPv4" && slice->addressType != "IPv6") continue;
      for (const auto& endpoint : slice->endpoints) {
        if (!endpoint.conditions.ready.value_or(true) || endpoint.addresses.empty()) continue;
        auto address = net::IpAddress::parse(endpoint.addresses.front());
        if (!address) continue;
        const std::string label = lower(endpoint.hostname.value_or(""));
        const bool has_row = !label.empty() || rows_for_all;
        if (!has_row) endpoints_.push_back(*address);
        if (!has_row && !headless) continue;
        const std::string name = (label.empty() ? dashed(*address) : label) + "." + base_;
        if (has_row) {
          add_address(name, *address);
          reverse_.emplace_back(*address, name);
        }
        if (headless) write_headless(*slice, name, *address);
      }
    }
  }

  void write_headless(const k8s::EndpointSlice& slice, const std::string& name, const net::IpAddress& address) {
    add_address(base_, address);
    for (const auto& port : slice.ports)
      if (port.port)
        add_port(port.name.value_or(""), protocol_or_tcp(port.protocol.value_or("TCP")),
                 static_cast<uint16_t>(*port.port), name);
  }

  const k8s::Service& service_;
  const SliceList& slices_;
  std::string base_;
  Owner owner_;
  std::map<std::string, NameRow> rows_;
  ReverseNames reverse_;
  std::vector<net::IpAddress> endpoints_;
};

}  // namespace

ServiceNames compile_service_names(const k8s::Service& service, const SliceList& slices) {
  return Writer(service, slices).run();
}

}  // namespace carrick::desired
