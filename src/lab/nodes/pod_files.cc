#include "lab/nodes/pod_files.h"

#include "base/log.h"
#include "dns/resolv_conf.h"
#include "lab/host/files.h"

namespace carrick::lab {
namespace {

constexpr const char* kClusterDomain = "cluster.local";

// As the kubelet writes it: the pod's own addresses lead to its own name.
std::string hosts_text(const Sandbox& sandbox, const k8s::Pod& pod) {
  std::string text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const std::string& address : sandbox.addresses) {
    text += address + "\t";
    if (!pod.spec.subdomain.empty())
      text += fmt::format("{}.{}.{}.svc.{}\t", sandbox.hostname, pod.spec.subdomain, sandbox.pod.namespace_,
                          kClusterDomain);
    text += sandbox.hostname + "\n";
  }
  return text;
}

dns::PodDns dns_of(const k8s::Pod& pod) {
  dns::PodDns out{.namespace_ = pod.metadata.namespace_, .host_network = pod.spec.hostNetwork};
  if (!pod.spec.dnsPolicy.empty()) out.policy = pod.spec.dnsPolicy;
  if (!pod.spec.dnsConfig) return out;
  out.nameservers = pod.spec.dnsConfig->nameservers;
  out.searches = pod.spec.dnsConfig->searches;
  for (const auto& option : pod.spec.dnsConfig->options) out.options.emplace_back(option.name, option.value);
  return out;
}

// A lab node's own resolver is the one of the outside world.
dns::ResolvConf node_resolv_conf(const LabConfig& config) {
  dns::ResolvConf out;
  for (const auto& address : resolver_addresses(config)) out.nameservers.push_back(address.str());
  return out;
}

}  // namespace

Result<void> write_pod_files(const LabPaths& paths, const LabConfig& config, const Sandbox& sandbox,
                             const k8s::Pod& pod, const std::vector<net::IpAddress>& cluster_dns) {
  std::string folder = paths.pod(sandbox.pod.namespace_, sandbox.pod.name);
  TRY_VOID(write_file_atomically(folder + "/hosts", hosts_text(sandbox, pod), 0644));
  auto made = TRY(dns::pod_resolv_conf(dns_of(pod), cluster_dns, kClusterDomain, node_resolv_conf(config)));
  for (const std::string& warning : made.warnings) log::warn("pod {}: {}", sandbox.pod.str(), warning);
  return write_file_atomically(folder + "/resolv.conf", made.conf.str(), 0644);
}

}  // namespace carrick::lab
