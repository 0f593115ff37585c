#include "lab/up/apply.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <map>
#include <set>

#include "base/text.h"
#include "k8s/core.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr size_t kMaxSentences = 20;
constexpr int kConnections = 4;

std::string place(const k8s::ManifestObject& object) {
  return fmt::format("{}:{}: {} {}", object.file, object.line, object.kind, object.key.str());
}

// A Namespace must be there before what lives in it; nothing else waits for anything.
bool comes_first(const k8s::ManifestObject& object) { return object.kind == "Namespace"; }

class Applier {
 public:
  Applier(boost::asio::io_context& io, const watch::Credentials& credentials)
      : client_(io, credentials, kConnections) {}

  void create(const k8s::ManifestObject& object) {
    std::string path = k8s::collection_path(*object.type, object.key.namespace_);
    client_.request({.method = "POST", .target = path, .body = json::serialize(object.document)},
                    [this, &object, path](Result<watch::HttpResponse> answer) {
                      if (!answer && answer.error().kind == ErrorKind::kAlreadyExists) return merge(object, path);
                      note(object, answer);
                    });
  }
  std::vector<Error> errors;

 private:
  void merge(const k8s::ManifestObject& object, const std::string& collection) {
    client_.request({.method = "PATCH",
                     .target = collection + "/" + object.key.name,
                     .body = json::serialize(object.document),
                     .content_type = "application/merge-patch+json"},
                    [this, &object](Result<watch::HttpResponse> answer) { note(object, answer); });
  }
  void note(const k8s::ManifestObject& object, const Result<watch::HttpResponse>& answer) {
    if (!answer) errors.push_back({answer.error().kind, fmt::format("{}: {}", place(object), answer.error().message)});
  }
  watch::Client client_;
};

Result<void> create_all(const watch::Credentials& credentials, const std::vector<const k8s::ManifestObject*>& objects) {
  boost::asio::io_context io(1);
  Applier applier(io, credentials);
  for (const auto* object : objects) applier.create(*object);
  io.run();
  if (applier.errors.empty()) return {};
  std::vector<std::string> sentences;
  for (const Error& error : applier.errors)
    if (sentences.size() < kMaxSentences) sentences.push_back(error.message);
  return fail(applier.errors.front().kind, "{}", join(sentences, "\n"));
}

}  // namespace

Result<Manifests> read_manifests(const std::vector<std::string>& paths) {
  Manifests out;
  if (paths.empty()) return out;
  out.objects = TRY(k8s::load_manifests(paths));
  std::map<std::string, int> ignored;
  std::set<std::string> made = {"default", "kube-system", "kube-public", "kube-node-lease"}, used;
  std::vector<std::string> sentences;
  for (const k8s::ManifestObject& object : out.objects) {
    if (!object.type) {
      ++ignored[object.kind];
      continue;
    }
    if (object.kind == "Namespace") made.insert(object.key.name);
    if (object.type->namespaced) used.insert(object.key.namespace_);
    json::object document = object.document;
    k8s::apply_defaults(*object.type, document);
    for (const k8s::FieldError& error : k8s::validate(*object.type, document)) {
      // The line of the field, or of the nearest field around it.
      int line = object.line;
      for (std::string field = error.field; !field.empty();
           field = field.substr(0, field.find_last_of(".[") == std::string::npos ? 0 : field.find_last_of(".[")))
        if (auto it = object.lines.find(field); it != object.lines.end()) {
          line = it->second;
          break;
        }
      if (sentences.size() < kMaxSentences)
        sentences.push_back(
            fmt::format("{}:{}: {} {}: {}", object.file, line, object.kind, object.key.str(), error.str()));
    }
  }
  if (!sentences.empty()) return fail(ErrorKind::kInvalid, "{}", join(sentences, "\n"));
  for (const auto& [kind, count] : ignored) out.ignored_kinds.push_back(fmt::format("{} ({})", kind, count));
  std::ranges::set_difference(used, made, std::back_inserter(out.missing_namespaces));
  return out;
}

Result<void> apply_manifests(const watch::Credentials& credentials, const Manifests& manifests) {
  std::vector<k8s::ManifestObject> namespaces;
  for (const std::string& name : manifests.missing_namespaces)
    namespaces.push_back(
        {.document = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", json::object{{"name", name}}}},
         .type = &k8s::resource<k8s::Namespace>(),
         .apiVersion = "v1",
         .kind = "Namespace",
         .key = {"", name},
         .file = "-"});
  std::vector<const k8s::ManifestObject*> first, others;
  for (const auto& object : namespaces) first.push_back(&object);
  for (const auto& object : manifests.objects)
    if (object.type) (comes_first(object) ? first : others).push_back(&object);
  TRY_VOID(create_all(credentials, first));
  return create_all(credentials, others);
}

}  // namespace carrick::lab
