#include "apiserver/apiserver.h"
#include "apiserver/pki.h"
#include "base/encoding.h"

namespace carrick::apiserver {

std::string Kubeconfig::str() const {
  return fmt::format(
      "apiVersion: v1\n"
      "kind: Config\n"
      "clusters:\n"
      "- name: {0}\n"
      "  cluster:\n"
      "    server: {1}\n"
      "    certificate-authority-data: {2}\n"
      "users:\n"
      "- name: {0}-admin\n"
      "  user:\n"
      "    client-certificate-data: {3}\n"
      "    client-key-data: {4}\n"
      "contexts:\n"
      "- name: {0}\n"
      "  context:\n"
      "    cluster: {0}\n"
      "    user: {0}-admin\n"
      "    namespace: {5}\n"
      "current-context: {0}\n",
      cluster_name, server, base64(certificate_authority_pem), base64(client_certificate_pem), base64(client_key_pem),
      namespace_);
}

Result<void> write_kubeconfig(const std::string& path, const Kubeconfig& kubeconfig) {
  return write_private_file(path, kubeconfig.str());
}

}  // namespace carrick::apiserver
