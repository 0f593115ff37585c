#include "apiserver/service_tokens.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <ctime>

#include "apiserver/rbac.h"
#include "apiserver/table.h"
#include "base/encoding.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr size_t kHalf = 32;             // of an ES256 signature: r, then s
constexpr size_t kMaxToken = 16 * 1024;  // as the head of a request allows
constexpr int64_t kLeast = 600, kUsual = 3600, kMost = 365 * 24 * 3600;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeSignature {
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;
using Signature = std::unique_ptr<ECDSA_SIG, FreeSignature>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::optional<json::object> object_of(std::string_view text) {
  const auto decoded = from_base64url(text);
  if (!decoded) return std::nullopt;
  boost::system::error_code error;
  json::value value = json::parse(*decoded, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::string rfc3339(int64_t at) {
  const std::time_t time = at;
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// What a claim says of an object is still so.
bool is_alive(const Store& store, const char* kind, std::string_view namespace_, const json::object& claim) {
  const Record record =
      store.get(*k8s::find_by_kind("v1", kind), {std::string(namespace_), std::string(text_at(claim, "name"))});
  return record && text_at(record->document, "metadata.uid") == text_at(claim, "uid");
}

}  // namespace

struct ServiceTokens::Key {
  std::unique_ptr<EVP_PKEY, FreeKey> pkey;
  std::string id;
};

ServiceTokens::ServiceTokens(std::unique_ptr<Key> key) : key_(std::move(key)) {}
ServiceTokens::~ServiceTokens() = default;

Result<std::unique_ptr<ServiceTokens>> ServiceTokens::create(const std::string& key_pem) {
  const std::unique_ptr<BIO, FreeBio> text(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  auto key = std::make_unique<Key>();
  key->pkey.reset(PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr));
  if (!key->pkey || EVP_PKEY_get_bits(key->pkey.get()) != 256)
    return fail(ErrorKind::kInvalid, "the key for tokens of service accounts is no P-256 key");
  std::unique_ptr<ServiceTokens> tokens(new ServiceTokens(std::move(key)));
  const json::object web_key = tokens->key_set().at("keys").as_array().at(0).as_object();
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const std::string whole = json::serialize(web_key);
  EVP_Digest(whole.data(), whole.size(), digest, &size, EVP_sha256(), nullptr);
  tokens->key_->id = base64url({reinterpret_cast<const char*>(digest), size});
  return tokens;
}

std::string ServiceTokens::sign(const json::object& claims) const {
  const std::string text = base64url(json::serialize(json::object{{"alg", "ES256"}, {"kid", key_->id}})) + "." +
                           base64url(json::serialize(claims));
  const Context context(EVP_MD_CTX_new());
  size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_->pkey.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(text), text.size()) != 1)
    return {};
  std::string der(size, '\0');
  auto* const out = reinterpret_cast<unsigned char*>(der.data());
  if (EVP_DigestSign(context.get(), out, &size, bytes_of(text), text.size()) != 1) return {};
  const unsigned char* at = out;
  const Signature pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  if (!pair) return {};
  std::string raw(2 * kHalf, '\0');
  auto* const halves = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), halves, kHalf);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), halves + kHalf, kHalf);
  return text + "." + base64url(raw);
}

std::optional<json::object> ServiceTokens::verified(std::string_view token) const {
  const auto parts = split(token, '.');
  if (token.size() > kMaxToken || parts.size() != 3) return std::nullopt;
  const auto header = object_of(parts[0]);
  const auto raw = from_base64url(parts[2]);
  if (!header || text_at(*header, "alg") != "ES256" || !raw || raw->size() != 2 * kHalf) return std::nullopt;
  const Signature pair(ECDSA_SIG_new());
  BIGNUM* const r = BN_bin2bn(bytes_of(*raw), kHalf, nullptr);
  BIGNUM* const s = BN_bin2bn(bytes_of(*raw) + kHalf, kHalf, nullptr);
  if (!pair || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return std::nullopt;
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return std::nullopt;
  const std::string_view text = token.substr(0, parts[0].size() + 1 + parts[1].size());
  const Context context(EVP_MD_CTX_new());
  const bool good = EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_->pkey.get()) == 1 &&
                    EVP_DigestVerify(context.get(), der, static_cast<size_t>(size), bytes_of(text), text.size()) == 1;
  OPENSSL_free(der);
  return good ? object_of(parts[1]) : std::nullopt;
}

json::object ServiceTokens::key_set() const {
  const auto coordinate = [&](const char* name) {
    BIGNUM* number = nullptr;
    std::string raw(kHalf, '\0');
    if (EVP_PKEY_get_bn_param(key_->pkey.get(), name, &number) == 1)
      BN_bn2binpad(number, reinterpret_cast<unsigned char*>(raw.data()), kHalf);
    BN_free(number);
    return base64url(raw);
  };
  json::array keys;
  keys.push_back(json::object{{"use", "sig"},
                              {"kty", "EC"},
                              {"kid", key_->id},
                              {"crv", "P-256"},
                              {"alg", "ES256"},
                              {"x", coordinate(OSSL_PKEY_PARAM_EC_PUB_X)},
                              {"y", coordinate(OSSL_PKEY_PARAM_EC_PUB_Y)}});
  return {{"keys", std::move(keys)}};
}

StatusOr<json::object> ServiceTokens::issue(const Store& store, const k8s::NamespacedName& account,
                                            json::object request, int64_t now) const {
  const k8s::ResourceType& accounts = *k8s::find_by_kind("v1", "ServiceAccount");
  const k8s::ResourceType type{.group = "authentication.k8s.io", .version = "v1", .kind = "TokenRequest"};
  const Record record = store.get(accounts, account);
  if (!record) return std::unexpected(not_found(accounts, account.name));
  json::object& spec = child_object(request, "spec");
  const int64_t seconds = number_at(spec, "expirationSeconds", kUsual);
  if (seconds < kLeast)
    return std::unexpected(invalid(
        type, account.name,
        {field_error("Invalid", "spec.expirationSeconds",
                     fmt::format("Invalid value: {}: may not specify a duration less than 10 minutes", seconds))}));
  if (!has_entries(spec, "audiences")) spec["audiences"] = json::array{kIssuer};
  const std::string subject = fmt::format("system:serviceaccount:{}:{}", account.namespace_, account.name);
  json::object about{
      {"namespace", account.namespace_},
      {"serviceaccount", json::object{{"name", account.name}, {"uid", text_at(record->document, "metadata.uid")}}}};
  if (const json::object* bound = object_at(spec, "boundObjectRef")) {
    const std::string kind(text_at(*bound, "kind")), name(text_at(*bound, "name"));
    if (kind != "Pod" && kind != "Secret" && kind != "Node")
      return std::unexpected(bad_request(fmt::format("cannot bind token to object of kind \"{}\"", kind)));
    const k8s::ResourceType& what = *k8s::find_by_kind("v1", kind);
    const Record object = store.get(what, {what.namespaced ? account.namespace_ : "", name});
    if (!object) return std::unexpected(not_found(what, name));
    const std::string_view uid = text_at(object->document, "metadata.uid"), wanted = text_at(*bound, "uid");
    if (!wanted.empty() && wanted != uid)
      return std::unexpected(
          conflict(what, name,
                   fmt::format("the UID in the bound object reference ({}) does not match the UID in record. The "
                               "object might have been deleted and then recreated",
                               wanted)));
    if (kind == "Pod" && text_at(object->document, "spec.serviceAccountName") != account.name)
      return std::unexpected(
          bad_request(fmt::format("cannot bind token for serviceaccount \"{}\" to pod running with different "
                                  "serviceaccount name.",
                                  account.name)));
    about[lower(kind)] = json::object{{"name", name}, {"uid", uid}};
  }
  const int64_t until = now + std::min(seconds, kMost);
  const std::string token = sign({{"iss", kIssuer},
                                  {"sub", subject},
                                  {"aud", spec.at("audiences")},
                                  {"iat", now},
                                  {"nbf", now},
                                  {"exp", until},
                                  {"kubernetes.io", std::move(about)}});
  if (token.empty()) return std::unexpected(internal("the token cannot be signed"));
  spec["expirationSeconds"] = until - now;
  request["apiVersion"] = "authentication.k8s.io/v1";
  request["kind"] = "TokenRequest";
  json::object& metadata = metadata_of(request);
  metadata["name"] = account.name;
  metadata["namespace"] = account.namespace_;
  request["status"] = json::object{{"token", token}, {"expirationTimestamp", rfc3339(until)}};
  return request;
}

std::optional<User> ServiceTokens::user_of(const Store& store, std::string_view token, int64_t now,
                                           const std::vector<std::string>& audiences) const {
  const auto claims = verified(token);
  if (!claims || text_at(*claims, "iss") != kIssuer || number_at(*claims, "exp") <= now ||
      number_at(*claims, "nbf") > now)
    return std::nullopt;
  const json::array* meant = array_at(*claims, "aud");
  const bool for_us =
      meant && std::ranges::any_of(*meant, [&](const json::value& one) {
        if (!one.is_string()) return false;
        const std::string_view audience = one.get_string();
        return audiences.empty() ? audience == kIssuer : std::ranges::find(audiences, audience) != audiences.end();
      });
  const json::value* held = claims->if_contains("kubernetes.io");
  const json::object* about = held ? held->if_object() : nullptr;
  const json::object* account = about ? object_at(*about, "serviceaccount") : nullptr;
  if (!for_us || !account) return std::nullopt;
  const std::string_view namespace_ = text_at(*about, "namespace");
  if (!is_alive(store, "ServiceAccount", namespace_, *account)) return std::nullopt;
  for (const auto& [name, kind] : {std::pair("pod", "Pod"), std::pair("secret", "Secret")})
    if (const json::object* bound = object_at(*about, name); bound && !is_alive(store, kind, namespace_, *bound))
      return std::nullopt;
  return with_implied_groups({std::string(text_at(*claims, "sub")), {}});
}

}  // namespace carrick::apiserver
