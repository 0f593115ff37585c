#include "cni/result_json.h"

#include "cni/call.h"

namespace carrick::cni {
namespace json = boost::json;
namespace {

bool is_v6(std::string_view address) { return address.find(':') != std::string_view::npos; }

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

// 0.1.0 and 0.2.0: one address a family, no interfaces.
json::object render_old(const AddResult& result, std::string_view version) {
  json::object out{{"cniVersion", view(version)}};
  for (const ResultIp& ip : result.ips) {
    const char* key = is_v6(ip.address) ? "ip6" : "ip4";
    if (out.contains(key)) continue;
    json::object family{{"ip", ip.address}};
    if (!ip.gateway.empty()) family["gateway"] = ip.gateway;
    json::array routes;
    for (const ResultRoute& route : result.routes) {
      if (is_v6(route.dst) == is_v6(ip.address))
        routes.emplace_back(json::object{{"dst", route.dst}, {"gw", route.gw}});
    }
    if (!routes.empty()) family["routes"] = std::move(routes);
    out[key] = std::move(family);
  }
  return out;
}

json::array list_of(const json::object* previous, const char* key) {
  const json::value* value = previous ? previous->if_contains(key) : nullptr;
  const json::array* list = value ? value->if_array() : nullptr;
  return list ? *list : json::array();
}

}  // namespace

json::object render(const AddResult& result, std::string_view version, const json::object* previous,
                    const json::value* dns) {
  json::object out;
  if (!at_least(version, "0.3.0")) {
    out = render_old(result, version);
  } else {
    out["cniVersion"] = view(version);
    json::array interfaces = list_of(previous, "interfaces"), ips = list_of(previous, "ips"),
                routes = list_of(previous, "routes");
    size_t before = interfaces.size();
    bool newest = at_least(version, "1.1.0");
    for (const ResultInterface& interface : result.interfaces) {
      json::object item{{"name", interface.name}};
      if (!interface.mac.empty()) item["mac"] = interface.mac;
      if (newest && interface.mtu) item["mtu"] = interface.mtu;
      if (!interface.sandbox.empty()) item["sandbox"] = interface.sandbox;
      interfaces.emplace_back(std::move(item));
    }
    for (const ResultIp& ip : result.ips) {
      json::object item;
      if (!at_least(version, "1.0.0")) item["version"] = is_v6(ip.address) ? "6" : "4";
      item["address"] = ip.address;
      if (!ip.gateway.empty()) item["gateway"] = ip.gateway;
      item["interface"] = before + ip.interface;
      ips.emplace_back(std::move(item));
    }
    for (const ResultRoute& route : result.routes)
      routes.emplace_back(json::object{{"dst", route.dst}, {"gw", route.gw}});
    out["interfaces"] = std::move(interfaces);
    out["ips"] = std::move(ips);
    if (!routes.empty()) out["routes"] = std::move(routes);
  }
  const json::value* previous_dns = previous ? previous->if_contains("dns") : nullptr;
  if (dns && dns->is_object())
    out["dns"] = *dns;
  else if (previous_dns)
    out["dns"] = *previous_dns;
  else
    out["dns"] = json::object();
  return out;
}

}  // namespace carrick::cni
