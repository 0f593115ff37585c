#include <fstream>
#include <sstream>

#include "k8s/yaml.h"
#include "watch/client.h"

namespace carrick::watch {
namespace {

namespace json = boost::json;

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorKind::kInvalid, "{}: cannot be read", path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string decode_base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int value = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
    if (value < 0) continue;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8));
  }
  return out;
}

std::string text_of(const json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

// The entry of `clusters`, `users` or `contexts` with that name; its payload lies under `payload`.
const json::object* named(const json::object& config, std::string_view list, std::string_view payload, std::string_view name) {
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
  if (std::string file = text_of(object, key); !file.empty()) return read_file(file);
  return std::string();
}

}  // namespace

Result<Credentials> load_kubeconfig(const std::string& path) {
  std::string text = TRY(read_file(path));
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
  if (std::string file = text_of(*user, "tokenFile"); out.token.empty() && !file.empty()) out.token = TRY(read_file(file));
  return out;
}

}  // namespace carrick::watch
