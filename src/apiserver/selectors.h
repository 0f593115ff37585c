#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "k8s/resources.h"

namespace carrick::apiserver {

// `labelSelector=` of a request: comma-separated terms, all of which must hold.
//   k  !k  k=v  k==v  k!=v  k in (a,b)  k notin (a,b)  k>1  k<1
// != and notin also match objects without the key.
class LabelQuery {
 public:
  static Result<LabelQuery> parse(std::string_view text);
  bool matches(const k8s::json::object& document) const;
  bool empty() const { return terms_.empty(); }

  enum class Operator { kExists, kAbsent, kIn, kNotIn, kGreater, kLess };
  struct Term {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;
  };
  const std::vector<Term>& terms() const { return terms_; }

 private:
  std::vector<Term> terms_;
};

// `fieldSelector=` of a request: a=b, a==b, a!=b, comma-separated. Only the fields that the API names for the kind are
// known; the error of an unknown one is the API's sentence.
class FieldQuery {
 public:
  // `more`: fields that a definition names for its own kind.
  static Result<FieldQuery> parse(const k8s::ResourceType& type, std::string_view text,
                                  const std::vector<std::string>& more = {});
  bool matches(const k8s::json::object& document) const;
  bool empty() const { return terms_.empty(); }
  // The name that metadata.name=X asks for; empty when it does not ask for one.
  std::string_view name() const;

 private:
  struct Term {
    std::string field, value;
    bool equal = true;
  };
  std::vector<Term> terms_;
};

// Fields that `type` can be selected by.
std::vector<std::string_view> selectable_fields(const k8s::ResourceType& type);

}  // namespace carrick::apiserver
