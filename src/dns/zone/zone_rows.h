#pragma once

#include <string>
#include <vector>

#include "desired/names/names.h"

// The conformance table of the DNS server, after the tables of CoreDNS: one cluster, questions, expected answers. It is
// run against the pure core (zone_test.cc) and through sockets of both families and transports (server_test.cc).
namespace carrick::dns::test {

struct Row {
  const char* id;        // of docs/design/dns.md
  std::string question;  // "web.default.svc.cluster.local A"
  std::string rcode;
  std::vector<std::string> answer;      // "name TYPE data" without TTL, any order within the addresses
  std::string soa_of;                   // zone of the SOA in authority; empty = no authority
  std::vector<std::string> additional;  // as answer
};

desired::NameTable cluster_table();
const std::vector<Row>& cluster_rows();

}  // namespace carrick::dns::test
