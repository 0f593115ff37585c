#include "lab/nodes/material_source.h"

#include "lab/pods/material_fields.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

struct Fetch : std::enable_shared_from_this<Fetch> {
  Fetch(watch::Client& with, k8s::NamespacedName of, std::function<void(Result<PodDocument>)> then)
      : client(with), pod(std::move(of)), done(std::move(then)) {}

  void start() {
    ask({"GET", fmt::format("/api/v1/namespaces/{}/pods/{}", pod.namespace_, pod.name), "", ""},
        [self = shared_from_this()](Result<json::object> got) {
          if (!got) return self->finish(std::unexpected(got.error()));
          self->out.pod = std::move(*got);
          self->ask_for_needs();
        });
  }

 private:
  void ask_for_needs() {
    const MaterialNeeds needs = needs_of(out.pod);
    open = 1;
    for (const MaterialRef& ref : needs.objects) {
      ++open;
      ask({"GET",
           fmt::format("/api/v1/namespaces/{}/{}/{}", pod.namespace_, ref.secret ? "secrets" : "configmaps", ref.name),
           "", ""},
          [self = shared_from_this(), ref](Result<json::object> got) {
            if (got) {
              auto values = values_of(*got, ref.secret);
              if (values)
                self->out.material.objects.emplace(ref, std::move(*values));
              else
                self->failed = values.error();
            } else if (got.error().kind != ErrorKind::kNotFound) {
              self->failed = got.error();
            }
            self->one_less();
          });
    }
    for (const TokenRef& ref : needs.tokens) ask_for_token(ref);
    one_less();
  }

  // Bound to the pod, as the kubelet asks for it.
  void ask_for_token(const TokenRef& ref) {
    ++open;
    json::object spec{{"expirationSeconds", ref.seconds},
                      {"boundObjectRef", json::object{{"apiVersion", "v1"},
                                                      {"kind", "Pod"},
                                                      {"name", pod.name},
                                                      {"uid", text_in(object_in(out.pod, "metadata"), "uid")}}}};
    if (!ref.audience.empty()) spec["audiences"] = json::array{json::value(json::string(ref.audience))};
    std::string account = text_in(object_in(out.pod, "spec"), "serviceAccountName");
    if (account.empty()) account = "default";
    ask({"POST", fmt::format("/api/v1/namespaces/{}/serviceaccounts/{}/token", pod.namespace_, account),
         json::serialize(
             json::object{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", spec}})},
        [self = shared_from_this(), ref](Result<json::object> got) {
          if (got) self->out.material.tokens[ref] = text_in(object_in(*got, "status"), "token");
          self->one_less();  // a container that needs it says that it has none
        });
  }

  void ask(watch::HttpRequest request, std::function<void(Result<json::object>)> then) {
    client.request(std::move(request), [then](Result<watch::HttpResponse> answer) {
      if (!answer) return then(std::unexpected(answer.error()));
      boost::system::error_code error;
      const json::value value = json::parse(answer->body, error);
      if (error || !value.is_object()) return then(fail(ErrorKind::kInternal, "the API server's answer is no object"));
      then(value.get_object());
    });
  }

  void one_less() {
    if (--open > 0) return;
    finish(failed ? Result<PodDocument>(std::unexpected(*failed)) : Result<PodDocument>(std::move(out)));
  }
  void finish(Result<PodDocument> result) { std::exchange(done, nullptr)(std::move(result)); }

  watch::Client& client;
  k8s::NamespacedName pod;
  std::function<void(Result<PodDocument>)> done;
  PodDocument out;
  std::optional<Error> failed;
  int open = 0;
};

}  // namespace

void fetch_material(watch::Client& client, const k8s::NamespacedName& pod,
                    std::function<void(Result<PodDocument>)> done) {
  std::make_shared<Fetch>(client, pod, std::move(done))->start();
}

}  // namespace carrick::lab
