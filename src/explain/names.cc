#include "explain/names.h"

#include <algorithm>

#include "base/text.h"

namespace carrick::explain {
namespace {

constexpr int kMaxCnames = 8;
constexpr int kNdots = 5;

// The name relative to the zone, or nullopt when it lies outside.
std::optional<std::string> inside(const desired::NameTable& names, std::string name) {
  std::string suffix = "." + names.zone;
  if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  return std::nullopt;
}

bool follow(const desired::NameTable& names, std::string absolute, Lookup& out) {
  for (int i = 0; i < kMaxCnames; ++i) {
    auto relative = inside(names, absolute);
    if (!relative) {
      out.outside = absolute;
      return true;
    }
    auto in_table = names.names.find(*relative);
    const auto endpoint = in_table == names.names.end() ? desired::endpoint_row(names, *relative) : std::nullopt;
    if (in_table == names.names.end() && !endpoint) return false;
    const desired::NameRow& row = endpoint ? *endpoint : in_table->second;
    if (out.full_name.empty()) out.full_name = *relative, out.owner = row.owner;
    if (row.cname.empty()) {
      out.addresses = row.addresses;
      return true;
    }
    absolute = row.cname;
  }
  return false;
}

}  // namespace

Lookup look_up(const desired::NameTable& names, std::string_view asked, const std::string& namespace_) {
  std::string name = lower(asked);
  bool absolute = name.ends_with('.');
  if (absolute) name.pop_back();
  std::vector<std::string> tries;
  int dots = static_cast<int>(std::count(name.begin(), name.end(), '.'));
  if (absolute || dots >= kNdots) tries.push_back(name);
  if (!absolute)
    for (const std::string& search : {namespace_ + ".svc." + names.zone, "svc." + names.zone, names.zone})
      tries.push_back(name + "." + search);
  if (tries.front() != name) tries.push_back(name);
  for (const auto& one : tries) {
    Lookup out;
    out.found = follow(names, one, out);
    if (out.found && !(out.full_name.empty() && one != name)) return out;
  }
  return {};
}

}  // namespace carrick::explain
