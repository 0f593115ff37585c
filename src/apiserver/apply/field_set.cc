#include "apiserver/apply/field_set.h"

#include <fmt/format.h>

#include <algorithm>

namespace carrick::apiserver {
namespace json = k8s::json;
namespace {

constexpr int kMaxDepth = 256;

FieldSet parse_node(const json::object& object, int depth) {
  FieldSet out;
  if (object.empty()) out.member = true;
  if (depth > kMaxDepth) return out;
  for (const auto& [step, below] : object) {
    if (step == ".")
      out.member = true;
    else if (!below.is_object())
      continue;
    else if (FieldSet parsed = parse_node(below.get_object(), depth + 1); !parsed.empty())
      out.children.emplace(step, std::move(parsed));
  }
  return out;
}

}  // namespace

FieldSet FieldSet::parse(const json::object& fields_v1) {
  FieldSet root = parse_node(fields_v1, 0);
  root.member = false;
  return root;
}

json::object FieldSet::to_json() const {
  json::object out;
  if (member && !children.empty()) out["."] = json::object{};
  for (const auto& [step, below] : children) out[step] = below.to_json();
  return out;
}

void FieldSet::unite(const FieldSet& other) {
  member |= other.member;
  for (const auto& [step, below] : other.children) children[step].unite(below);
}

void FieldSet::subtract(const FieldSet& other) {
  if (other.member) member = false;
  for (const auto& [step, below] : other.children) {
    const auto mine = children.find(step);
    if (mine == children.end()) continue;
    mine->second.subtract(below);
    if (mine->second.empty()) children.erase(mine);
  }
}

FieldSet FieldSet::intersection(const FieldSet& other) const {
  FieldSet out;
  out.member = member && other.member;
  for (const auto& [step, below] : children) {
    const auto theirs = other.children.find(step);
    if (theirs == other.children.end()) continue;
    FieldSet common = below.intersection(theirs->second);
    if (!common.empty()) out.children.emplace(step, std::move(common));
  }
  return out;
}

FieldSet FieldSet::with_ancestors() const {
  FieldSet out;
  for (const auto& [step, below] : children) {
    FieldSet deeper = below.with_ancestors();
    deeper.member = true;
    out.children.emplace(step, std::move(deeper));
  }
  return out;
}

std::string readable_step(std::string_view step) {
  const std::string_view rest = step.substr(std::min<size_t>(2, step.size()));
  if (step.starts_with("f:")) return "." + std::string(rest);
  if (step.starts_with("v:")) return fmt::format("[={}]", rest);
  if (!step.starts_with("k:")) return fmt::format("[{}]", rest);
  boost::system::error_code error;
  const json::value keys = json::parse(rest, error);
  if (error || !keys.is_object()) return fmt::format("[{}]", rest);
  std::string out;
  for (const auto& [key, value] : keys.get_object())
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", std::string_view(key), json::serialize(value));
  return "[" + out + "]";
}

void FieldSet::collect(const std::string& path, std::vector<std::string>& out) const {
  if (member) out.push_back(path);
  for (const auto& [step, below] : children) below.collect(path + readable_step(step), out);
}

std::vector<std::string> FieldSet::paths() const {
  std::vector<std::string> out;
  for (const auto& [step, below] : children) below.collect(readable_step(step), out);
  std::ranges::sort(out);
  return out;
}

}  // namespace carrick::apiserver
