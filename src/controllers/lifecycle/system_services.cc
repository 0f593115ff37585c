#include "controllers/lifecycle/system_services.h"

#include "k8s/codec.h"

namespace carrick::controllers {

namespace {

const k8s::NamespacedName kKubernetes{"default", "kubernetes"};
const k8s::NamespacedName kKubeDns{"kube-system", "kube-dns"};

const k8s::ResourceType& endpoints_type() { return *k8s::find_by_kind("v1", "Endpoints"); }

json::object service_document(const k8s::NamespacedName& key, const std::vector<net::IpAddress>& ips,
                              k8s::StringMap labels, json::array ports) {
  json::object service = new_document(k8s::resource<k8s::Service>(), key.namespace_, key.name);
  set_labels(service["metadata"].get_object(), labels);
  json::array addresses, families;
  for (const auto& ip : ips) {
    addresses.push_back(json::string(ip.str()));
    families.push_back(ip.is_v4() ? "IPv4" : "IPv6");
  }
  const char* policy = ips.size() > 1 ? "RequireDualStack" : "SingleStack";
  service["spec"] = json::object{{"type", "ClusterIP"},
                                 {"clusterIP", ips.front().str()},
                                 {"clusterIPs", std::move(addresses)},
                                 {"ipFamilies", std::move(families)},
                                 {"ipFamilyPolicy", policy},
                                 {"ports", std::move(ports)},
                                 {"sessionAffinity", "None"}};
  return service;
}

}  // namespace

void SystemServices::start() {
  if (!desk_.options.kubernetes_ips.empty()) queue.add(kKubernetes);
  if (!desk_.options.dns_ips.empty()) queue.add(kKubeDns);
}

void SystemServices::observe(const Change& change) {
  if (change.is<k8s::Namespace>() && !change.before) start();
  // The slices and Endpoints of default/kubernetes have its name too.
  const bool about = change.is<k8s::Service>() || change.is<k8s::EndpointSlice>() || change.type == &endpoints_type();
  if (about && change.key.namespace_ == kKubernetes.namespace_ && change.key.name.starts_with(kKubernetes.name))
    start();
  if (change.is<k8s::Service>() && change.key == kKubeDns) start();
}

Result<void> SystemServices::reconcile(const k8s::NamespacedName& key) {
  if (!mirror().find<k8s::Namespace>({"", key.namespace_})) return {};
  const auto& services = k8s::resource<k8s::Service>();
  if (key == kKubeDns) {
    if (mirror().find<k8s::Service>(key)) return {};
    json::array ports{{{"name", "dns"}, {"port", 53}, {"protocol", "UDP"}, {"targetPort", 53}},
                      {{"name", "dns-tcp"}, {"port", 53}, {"protocol", "TCP"}, {"targetPort", 53}}};
    TRY_VOID(cluster().create(services, service_document(key, desk_.options.dns_ips,
                                                         {{"k8s-app", "kube-dns"},
                                                          {"kubernetes.io/cluster-service", "true"},
                                                          {"kubernetes.io/name", "Carrick"}},
                                                         std::move(ports))));
    return {};
  }
  if (!mirror().find<k8s::Service>(key)) {
    const int64_t target = desk_.options.api_servers.empty() ? 6443 : desk_.options.api_servers.front().port;
    json::array ports{{{"name", "https"}, {"port", 443}, {"protocol", "TCP"}, {"targetPort", target}}};
    TRY_VOID(cluster().create(
        services, service_document(key, desk_.options.kubernetes_ips,
                                   {{"component", "apiserver"}, {"provider", "kubernetes"}}, std::move(ports))));
  }
  return ensure_endpoints();
}

Result<void> SystemServices::ensure_endpoints() {
  std::map<std::string, k8s::EndpointSlice> slices;
  json::array addresses;
  int64_t port = 6443;
  for (const auto& server : desk_.options.api_servers) {
    auto& slice = slices[server.address.is_v4() ? "IPv4" : "IPv6"];
    k8s::Endpoint endpoint;
    endpoint.addresses.push_back(server.address.str());
    endpoint.conditions.ready = true;
    slice.endpoints.push_back(std::move(endpoint));
    slice.ports = {{"https", "TCP", std::nullopt, server.port}};
    // Endpoints hold the primary family only.
    if (server.address.is_v4() == desk_.options.kubernetes_ips.front().is_v4())
      addresses.push_back(json::object{{"ip", server.address.str()}});
    port = server.port;
  }
  for (auto& [type, slice] : slices) {
    slice.addressType = type;
    const k8s::NamespacedName key{kKubernetes.namespace_,
                                  type == "IPv4" || slices.size() == 1 ? kKubernetes.name : kKubernetes.name + "-ipv6"};
    const auto* old = mirror().find<k8s::EndpointSlice>(key);
    if (old && (*old)->endpoints == slice.endpoints && (*old)->ports == slice.ports) continue;
    json::object encoded = k8s::encode(slice);
    json::object document =
        old ? *old->document : new_document(k8s::resource<k8s::EndpointSlice>(), key.namespace_, key.name);
    set_labels(child(document, "metadata"), {{k8s::kServiceNameLabel, kKubernetes.name}});
    for (const char* field : {"addressType", "endpoints", "ports"}) document[field] = encoded[field];
    if (old)
      TRY_VOID(cluster().update(k8s::resource<k8s::EndpointSlice>(), std::move(document)));
    else
      TRY_VOID(cluster().create(k8s::resource<k8s::EndpointSlice>(), std::move(document)));
  }
  if (addresses.empty()) return {};
  const json::array subsets{
      json::object{{"addresses", std::move(addresses)},
                   {"ports", json::array{{{"name", "https"}, {"port", port}, {"protocol", "TCP"}}}}}};
  const Document old = cluster().get(endpoints_type(), kKubernetes);
  if (old && old->contains("subsets") && old->at("subsets") == json::value(subsets)) return {};
  json::object document = old ? *old : new_document(endpoints_type(), kKubernetes.namespace_, kKubernetes.name);
  set_labels(child(document, "metadata"), {{"endpointslice.kubernetes.io/skip-mirror", "true"}});
  document["subsets"] = subsets;
  if (old)
    TRY_VOID(cluster().update(endpoints_type(), std::move(document)));
  else
    TRY_VOID(cluster().create(endpoints_type(), std::move(document)));
  return {};
}

}  // namespace carrick::controllers
