#include "apiserver/apiserver.h"

#include "apiserver/api.h"
#include "apiserver/cluster_door.h"
#include "apiserver/custom/standard_definitions.h"
#include "apiserver/document.h"
#include "apiserver/http_server.h"
#include "apiserver/pki.h"
#include "apiserver/rbac.h"

namespace carrick::apiserver {
namespace {

ServerNames names_of(const Options& options) {
  ServerNames names{.dns = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                            "kubernetes.default.svc.cluster.local"},
                    .addresses = {net::IpAddress::v4(0x7f000001)}};
  names.dns.insert(names.dns.end(), options.server_names.begin(), options.server_names.end());
  for (const net::Prefix& cidr : options.service_cidrs)
    names.addresses.push_back(cidr.address().plus(1));  // default/kubernetes
  names.addresses.insert(names.addresses.end(), options.server_addresses.begin(), options.server_addresses.end());
  return names;
}

}  // namespace

// In the order of construction: each knows only those above it.
struct ApiServer::Parts {
  Parts(boost::asio::io_context& context, Options given, std::unique_ptr<Store> opened, Credentials with,
        std::unique_ptr<ServiceTokens> signer)
      : options(std::move(given)),
        credentials(std::move(with)),
        tokens(std::move(signer)),
        store(std::move(opened)),
        registry(*store, {.service_ranges = {.cidrs = options.service_cidrs}}),
        door(registry),
        api(registry, {.server_address = "127.0.0.1",
                       .ready = [this] { return !ready || ready(); },
                       .tokens = tokens.get(),
                       .nodes = options.nodes}),
        http(context, api, credentials, {}) {}
  Options options;
  Credentials credentials;
  std::unique_ptr<ServiceTokens> tokens;
  std::unique_ptr<Store> store;
  Registry registry;
  ClusterDoor door;
  std::function<bool()> ready;
  Api api;
  HttpServer http;
};

ApiServer::ApiServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::create(boost::asio::io_context& context, Options options) {
  if (options.service_cidrs.empty())
    return fail(ErrorKind::kInvalid, "the API server needs at least one range for ClusterIPs");
  auto store = TRY(Store::open(options.database));
  auto credentials = TRY(load_or_make_credentials(options.credentials_directory, names_of(options)));
  auto tokens = TRY(ServiceTokens::create(credentials.token_key));
  std::unique_ptr<ApiServer> server(new ApiServer(std::make_unique<Parts>(context, std::move(options), std::move(store),
                                                                          std::move(credentials), std::move(tokens))));
  TRY_VOID(server->parts_->http.prepare());
  return server;
}

Result<uint16_t> ApiServer::listen_on_loopback(uint16_t port) { return parts_->http.listen_on_loopback(port); }
Result<void> ApiServer::listen(Fd socket) { return parts_->http.listen(std::move(socket)); }
controllers::Cluster& ApiServer::cluster() { return parts_->door; }
void ApiServer::set_readiness(std::function<bool()> ready) { parts_->ready = std::move(ready); }
const std::string& ApiServer::certificate_authority() const { return parts_->credentials.authority.certificate_pem; }
uint64_t ApiServer::resource_version() const { return parts_->store->revision(); }
size_t ApiServer::connections() const { return parts_->http.connections(); }

Result<void> ApiServer::bootstrap() {
  const k8s::ResourceType& namespaces = *k8s::find_by_kind("v1", "Namespace");
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    if (parts_->store->get(namespaces, {"", name})) continue;
    k8s::json::object document{{"metadata", k8s::json::object{{"name", name}}}};
    TRY_VOID(parts_->door.create(namespaces, std::move(document)));
  }
  if (auto made = parts_->registry.have_address_objects(); !made)
    return fail(ErrorKind::kInternal, "ranges of ClusterIPs: {}", made.error().message);
  for (auto& [type, document] : standard_roles())
    if (!parts_->store->get(*type, key_of(document))) TRY_VOID(parts_->door.create(*type, std::move(document)));
  const k8s::ResourceType& definitions = *k8s::find_by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
  for (auto& document : TRY(standard_definitions()))
    if (!parts_->store->get(definitions, key_of(document)))
      TRY_VOID(parts_->door.create(definitions, std::move(document)));
  return {};
}

Kubeconfig ApiServer::admin_kubeconfig(const std::string& server) const {
  const Credentials& c = parts_->credentials;
  return {.server = server,
          .cluster_name = parts_->options.cluster_name,
          .certificate_authority_pem = c.authority.certificate_pem,
          .client_certificate_pem = c.admin.certificate_pem,
          .client_key_pem = c.admin.key_pem};
}

Result<Kubeconfig> ApiServer::client_kubeconfig(const std::string& server, const std::string& user,
                                                const std::vector<std::string>& groups) const {
  const KeyPair client = TRY(make_client_certificate(parts_->credentials.authority, user, groups));
  Kubeconfig out = admin_kubeconfig(server);
  out.client_certificate_pem = client.certificate_pem;
  out.client_key_pem = client.key_pem;
  return out;
}

}  // namespace carrick::apiserver
