#include "lab/nodes/pod_files.h"

#include "lab/host/files.h"

namespace carrick::lab {
namespace {

// As the kubelet writes it: the pod's own addresses lead to its own name.
std::string hosts_text(const Sandbox& sandbox, const k8s::Pod& pod) {
  std::string text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const std::string& address : sandbox.addresses) {
    text += address + "\t";
    if (!pod.spec.subdomain.empty())
      text += fmt::format("{}.{}.{}.svc.cluster.local\t", sandbox.hostname, pod.spec.subdomain, sandbox.pod.namespace_);
    text += sandbox.hostname + "\n";
  }
  return text;
}

}  // namespace

Result<void> write_pod_files(const LabPaths& paths, const LabConfig&, const Sandbox& sandbox, const k8s::Pod& pod) {
  std::string folder = paths.pod(sandbox.pod.namespace_, sandbox.pod.name);
  TRY_VOID(write_file(folder + "/hosts", hosts_text(sandbox, pod), 0644));
  std::string text = fmt::format("search {}.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n", sandbox.pod.namespace_);
  return write_file(folder + "/resolv.conf", text, 0644);
}

}  // namespace carrick::lab
