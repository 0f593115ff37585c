#include <openssl/evp.h>

#include "base/file.h"
#include "k8s/yaml.h"
#include "watch/client.h"

namespace carrick::watch {
namespace {

namespace json = boost::json;

// A kubeconfig that cannot be read is bad input, whatever the reason.
Result<std::string> read_input(const std::string& path) {
  auto text = read_file(path);
  if (!text) return fail(ErrorKind::kInvalid, "{}", text.error().message);
  return text;
}

// RFC 4648 section 4; line breaks are skipped, as Go does.
Result<std::string> decode_base64(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  std::string out(text.size() / 4 * 3, '\0');
  int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                             reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return fail(ErrorKind::kInvalid, "inline data is not base64");
  // The padding is decoded as zero bytes.
  out.resize(static_cast<size_t>(size) - (text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0));
  return out;
}

std::string text_of(const json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

// The entry of `clusters`, `users` or `contexts` with that name; its payload lies under `payload`.
const json::object* named(const json::object& config, std::string_view list, std::string_view payload,
                          std::string_view name) {
  auto* entries = config.if_contains(list);
  if (!entries || !entries->is_array()) return nullptr;
  for (const auto& entry : entries->as_array())
    if (entry.is_object() && text_of(entry.as_object(), "name") == name)
      if (auto* inner = entry.as_object().if_contains(payload); inner && inner->is_object()) return &inner->as_object();
  return nullptr;
}

// `KEY-data` inline, or the file named by `KEY`.
Result<std::string> inline_or_file(const json::object& object, std::string key) {
  if (std::string data = text_of(object, key + "-data"); !data.empty()) return decode_base64(data);
  if (std::string file = text_of(object, key); !file.empty()) return read_input(file);
  return std::string();
}

}  // namespace

Result<Credentials> load_kubeconfig(const std::string& path) {
  std::string text = TRY(read_input(path));
  auto documents = TRY(k8s::yaml::parse(text, path));
  if (documents.size() != 1) return fail(ErrorKind::kInvalid, "{}: not a kubeconfig", path);
  json::value document = k8s::yaml::to_json(documents[0]);
  if (!document.is_object()) return fail(ErrorKind::kInvalid, "{}: not a kubeconfig", path);
  const json::object& config = document.as_object();
  const json::object* context = named(config, "contexts", "context", text_of(config, "current-context"));
  if (!context) return fail(ErrorKind::kInvalid, "{}: current-context names no context", path);
  const json::object* cluster = named(config, "clusters", "cluster", text_of(*context, "cluster"));
  const json::object* user = named(config, "users", "user", text_of(*context, "user"));
  if (!cluster || !user) return fail(ErrorKind::kInvalid, "{}: the current context's cluster or user is missing", path);
  Credentials out;
  out.servers = {text_of(*cluster, "server")};
  out.ca_pem = TRY(inline_or_file(*cluster, "certificate-authority"));
  out.cert_pem = TRY(inline_or_file(*user, "client-certificate"));
  out.key_pem = TRY(inline_or_file(*user, "client-key"));
  out.token = text_of(*user, "token");
  if (std::string file = text_of(*user, "tokenFile"); out.token.empty() && !file.empty())
    out.token = TRY(read_input(file));
  return out;
}

}  // namespace carrick::watch
