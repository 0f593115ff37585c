#pragma once

#include <memory>
#include <optional>

#include "apiserver/document.h"
#include "apiserver/request.h"
#include "apiserver/status.h"
#include "apiserver/store.h"
#include "base/result.h"

// Tokens of service accounts: JSON web tokens (RFC 7519) signed by ES256, with the claims of Kubernetes. A token is as
// good as what it is bound to: when the account or the pod has gone, or is another one of the same name, it is worth
// nothing.
namespace carrick::apiserver {

class ServiceTokens {
 public:
  static constexpr std::string_view kIssuer = "https://kubernetes.default.svc.cluster.local";

  // The key in PEM, P-256. kInvalid: it is none.
  static Result<std::unique_ptr<ServiceTokens>> create(const std::string& key_pem);
  ~ServiceTokens();

  std::string sign(const json::object& claims) const;
  // The claims of a token that is ours, whatever they say; nullopt for any other bytes.
  std::optional<json::object> verified(std::string_view token) const;
  json::object key_set() const;  // RFC 7517

  // serviceaccounts/NAME/token: `request` is a TokenRequest, the answer is one with its status.
  StatusOr<json::object> issue(const Store& store, const k8s::NamespacedName& account, json::object request,
                               int64_t now) const;
  // Who shows the token, at `now` (seconds since 1970) and for one of the audiences (none: for the server itself).
  std::optional<User> user_of(const Store& store, std::string_view token, int64_t now,
                              const std::vector<std::string>& audiences = {}) const;

 private:
  struct Key;
  explicit ServiceTokens(std::unique_ptr<Key> key);
  std::unique_ptr<Key> key_;
};

}  // namespace carrick::apiserver
