#include "agent/service_hits.h"

#include <arpa/inet.h>

#include <cstring>
#include <map>

#include "realize/encode.h"
#include "wire/services.h"

namespace carrick::agent {

namespace json = boost::json;

Result<json::array> service_hits(kernel::Map& hits, const desired::Tables& tables, const std::string& service) {
  std::map<uint64_t, std::string> clauses;
  for (const auto& [key, row] : tables.frontends)
    if (row.owner.kind == "Service" && fmt::format("{}/{}", row.owner.namespace_, row.owner.name) == service)
      clauses.emplace(row.service_id, row.owner.clause);
  std::map<std::tuple<std::string, net::IpAddress, uint16_t>, uint64_t> sums;
  if (!clauses.empty())
    for (const auto& entry : TRY(hits.read_all())) {
      hit_key key;
      uint64_t count;
      std::memcpy(&key, entry.key.data(), sizeof key);
      std::memcpy(&count, entry.value.data(), sizeof count);
      if (auto clause = clauses.find(key.service_id); clause != clauses.end())
        sums[{clause->second, realize::address_of(key.backend), ntohs(key.port_be)}] += count;
    }
  json::array out;
  for (const auto& [where, count] : sums) {
    const auto& [clause, address, port] = where;
    out.push_back(json::object{{"clause", clause}, {"address", address.str()}, {"port", port}, {"hits", count}});
  }
  return out;
}

}  // namespace carrick::agent
