// The state file of the pool: {"boot_id": "...", "last": {CIDR: IP}, "owners": {ID: [IP...]}}
#include <boost/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "ipam/ipam.h"

namespace carrick::ipam {
namespace json = boost::json;

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id");
  return text ? std::string(trim(*text)) : std::string();
}

Result<void> Pool::load() {
  if (file_.empty()) return {};
  auto text = read_file(file_);
  if (!text) return text.error().kind == ErrorKind::kNotFound ? Result<void>() : std::unexpected(text.error());
  try {
    json::value document = json::parse(*text);
    const json::object& state = document.as_object();
    if (state.at("boot_id").as_string() != boot_id_) return {};
    for (auto& [cidr, address] : state.at("last").as_object())
      last_[cidr] = TRY(net::IpAddress::parse(address.as_string()));
    for (auto& [owner, list] : state.at("owners").as_object()) {
      std::vector<net::IpAddress> addresses;
      for (auto& address : list.as_array()) addresses.push_back(TRY(net::IpAddress::parse(address.as_string())));
      take(owner, std::move(addresses));
    }
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInternal, "address state {} cannot be read ({}); remove it when no pod runs on this node",
                file_, error.what());
  }
  return {};
}

std::string Pool::state_text(const std::string& owner, const std::vector<net::IpAddress>& addresses) {
  json::array list;
  for (const net::IpAddress& address : addresses) list.emplace_back(address.str());
  return json::serialize(json::string(owner)) + ":" + json::serialize(list);
}

Result<void> Pool::save() const {
  if (file_.empty()) return {};
  json::object last;
  for (auto& [cidr, address] : last_) last[cidr] = address.str();
  std::string state = "{\"boot_id\":" + json::serialize(json::string(boot_id_)) + ",\"last\":" + json::serialize(last) +
                      ",\"owners\":{";
  const char* separator = "\n";
  for (auto& [owner, holding] : by_owner_) {
    state += separator;
    state += holding.text;
    separator = ",\n";
  }
  state += "}}\n";
  return write_file_atomically(file_, state, 0600);
}

}  // namespace carrick::ipam
