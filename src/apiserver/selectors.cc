#include "apiserver/selectors.h"

#include <algorithm>
#include <charconv>

#include "apiserver/document.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }
  bool done() { return skip_space(), rest_.empty(); }
  char peek() { return skip_space(), rest_.empty() ? '\0' : rest_.front(); }
  bool take(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  std::string_view word() {
    skip_space();
    size_t n = 0;
    while (n < rest_.size() && !is_space(rest_[n]) &&
           std::string_view("=!,()<>").find(rest_[n]) == std::string_view::npos)
      ++n;
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }

 private:
  std::string_view rest_;
};

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_label_value(std::string_view text) {
  if (text.empty()) return true;
  return text.size() <= 63 && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_label_key(std::string_view key) {
  const size_t slash = key.find('/');
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  if (slash != std::string_view::npos && (slash == 0 || slash > 253)) return false;
  return !name.empty() && is_label_value(name);
}

Result<std::vector<std::string>> parse_values(Scanner& scan, std::string_view text) {
  std::vector<std::string> values;
  if (!scan.take("(")) return fail(ErrorKind::kInvalid, "unable to parse requirement: expected '(' in \"{}\"", text);
  while (true) {
    values.emplace_back(scan.word());
    if (scan.take(")")) break;
    if (!scan.take(","))
      return fail(ErrorKind::kInvalid, "unable to parse requirement: expected ',' or ')' in \"{}\"", text);
  }
  return values;
}

Result<LabelQuery::Term> parse_term(Scanner& scan, std::string_view text) {
  using Operator = LabelQuery::Operator;
  LabelQuery::Term term;
  const bool negated = scan.peek() == '!' && scan.take("!");
  term.key = scan.word();
  if (!is_label_key(term.key))
    return fail(ErrorKind::kInvalid, "unable to parse requirement: \"{}\" is not a label key in \"{}\"", term.key,
                text);
  if (negated) {
    term.op = Operator::kAbsent;
    return term;
  }
  const char next = scan.peek();
  if (next == '\0' || next == ',') return term;
  if (scan.take("==") || scan.take("=")) {
    term.op = Operator::kIn;
    term.values.emplace_back(scan.word());
  } else if (scan.take("!=")) {
    term.op = Operator::kNotIn;
    term.values.emplace_back(scan.word());
  } else if (next == '>' || next == '<') {
    scan.take(std::string_view(&next, 1));
    term.op = next == '>' ? Operator::kGreater : Operator::kLess;
    term.values.emplace_back(scan.word());
    int64_t number;
    const std::string& value = term.values.front();
    if (auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        error != std::errc{} || end != value.data() + value.size())
      return fail(ErrorKind::kInvalid,
                  "unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer, not \"{}\"",
                  value);
  } else {
    const std::string_view word = scan.word();
    if (word != "in" && word != "notin")
      return fail(ErrorKind::kInvalid,
                  "unable to parse requirement: found '{}', expected: in, notin, =, ==, !=, gt, lt",
                  word.empty() ? std::string_view(&next, 1) : word);
    term.op = word == "in" ? Operator::kIn : Operator::kNotIn;
    term.values = TRY(parse_values(scan, text));
  }
  for (const std::string& value : term.values)
    if (!is_label_value(value))
      return fail(ErrorKind::kInvalid, "unable to parse requirement: \"{}\" is not a label value", value);
  return term;
}

bool holds(const LabelQuery::Term& term, const json::object* labels) {
  using Operator = LabelQuery::Operator;
  const json::value* value = labels ? labels->if_contains(term.key) : nullptr;
  const json::string* text = value ? value->if_string() : nullptr;
  const auto listed = [&] {
    return std::ranges::any_of(term.values, [&](const std::string& v) { return std::string_view(*text) == v; });
  };
  switch (term.op) {
    case Operator::kExists:
      return text;
    case Operator::kAbsent:
      return !text;
    case Operator::kIn:
      return text && listed();
    case Operator::kNotIn:
      return !text || !listed();
    case Operator::kGreater:
    case Operator::kLess: {
      if (!text) return false;
      int64_t have = 0, bound = 0;
      if (auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), have);
          error != std::errc{} || end != text->data() + text->size())
        return false;
      std::from_chars(term.values[0].data(), term.values[0].data() + term.values[0].size(), bound);
      return term.op == Operator::kGreater ? have > bound : have < bound;
    }
  }
  return false;
}

// A scalar as the field selector writes it.
std::string scalar(const json::object& document, std::string_view path) {
  const json::value* value = field(document, path);
  if (!value) {
    if (path == "spec.unschedulable" || path == "spec.hostNetwork") return "false";
    return path == "status.successful" || path == "status.replicas" ? "0" : "";
  }
  if (const auto* text = value->if_string()) return std::string(*text);
  return json::serialize(*value);
}

}  // namespace

Result<LabelQuery> LabelQuery::parse(std::string_view text) {
  LabelQuery query;
  Scanner scan(text);
  if (scan.done()) return query;
  while (true) {
    query.terms_.push_back(TRY(parse_term(scan, text)));
    if (scan.done()) return query;
    if (!scan.take(","))
      return fail(ErrorKind::kInvalid, "unable to parse requirement: found '{}', expected: ',' or 'end of string'",
                  scan.peek());
  }
}

bool LabelQuery::matches(const json::object& document) const {
  if (terms_.empty()) return true;
  const json::object* labels = object_at(document, "metadata.labels");
  return std::ranges::all_of(terms_, [&](const Term& term) { return holds(term, labels); });
}

std::vector<std::string_view> selectable_fields(const k8s::ResourceType& type) {
  std::vector<std::string_view> fields{"metadata.name"};
  if (type.namespaced) fields.push_back("metadata.namespace");
  const auto add = [&](std::initializer_list<std::string_view> more) { fields.insert(fields.end(), more); };
  const std::string_view name = type.plural;
  if (name == "pods")
    add({"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
         "status.phase", "status.podIP", "status.nominatedNodeName"});
  else if (name == "events")
    add({"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
         "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
         "reportingComponent", "source", "type"});
  else if (name == "services")
    add({"spec.clusterIP", "spec.type"});
  else if (name == "nodes")
    add({"spec.unschedulable"});
  else if (name == "namespaces")
    add({"status.phase"});
  else if (name == "secrets")
    add({"type"});
  else if (name == "replicasets" || name == "replicationcontrollers")
    add({"status.replicas"});
  else if (name == "jobs")
    add({"status.successful"});
  return fields;
}

Result<FieldQuery> FieldQuery::parse(const k8s::ResourceType& type, std::string_view text,
                                     const std::vector<std::string>& more) {
  FieldQuery query;
  if (trim(text).empty()) return query;
  auto known = selectable_fields(type);
  known.insert(known.end(), more.begin(), more.end());
  for (std::string_view part : split(text, ',')) {
    part = trim(part);
    if (part.empty()) continue;
    Term term;
    size_t at = part.find("!=");
    size_t width = 2;
    term.equal = at == std::string_view::npos;
    if (term.equal) {
      at = part.find('=');
      width = at != std::string_view::npos && part.substr(at).starts_with("==") ? 2 : 1;
    }
    if (at == std::string_view::npos)
      return fail(ErrorKind::kInvalid, "invalid selector: '{}'; can't understand '{}'", text, part);
    term.field = trim(part.substr(0, at));
    term.value = trim(part.substr(at + width));
    if (std::ranges::find(known, term.field) == known.end()) {
      if (term.field == "metadata.namespace" && term.value.empty()) continue;
      return fail(ErrorKind::kInvalid, "field label not supported: {}", term.field);
    }
    query.terms_.push_back(std::move(term));
  }
  return query;
}

bool FieldQuery::matches(const json::object& document) const {
  return std::ranges::all_of(terms_, [&](const Term& term) {
    const std::string_view path = term.field == "source" ? "source.component" : std::string_view(term.field);
    return (scalar(document, path) == term.value) == term.equal;
  });
}

std::string_view FieldQuery::name() const {
  for (const Term& term : terms_)
    if (term.equal && term.field == "metadata.name") return term.value;
  return {};
}

}  // namespace carrick::apiserver
