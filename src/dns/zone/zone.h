#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "desired/names/names.h"
#include "dns/message/message.h"
#include "dns/zone/reverse.h"

namespace carrick::dns {

// a-b-c-d.ns.pod.<zone>, an extension of kube-dns. insecure: any address in an existing namespace, as kubeadm's
// Corefile has it.
enum class PodRecords { kDisabled, kInsecure, kVerified };

struct Answer {
  bool outside = false;  // neither the zone nor a reverse zone of ours: somebody else's question
  uint16_t rcode = kNoError;
  std::vector<Record> answer, authority, additional;
  std::optional<Name> chase;  // an ExternalName leads out of the zone: the records of this name are still to be added

  bool negative() const { return rcode == kNxDomain || (rcode == kNoError && answer.empty()); }
};

// The authority for one NameTable: pure, immutable, any number of threads. Sources: DNS specification 1.1.0 of
// Kubernetes; where it is silent, what CoreDNS answers (ids DNS-* in docs/design/dns.md).
class Zone {
 public:
  explicit Zone(std::shared_ptr<const desired::NameTable> table, PodRecords pods = PodRecords::kInsecure);

  // Records are in the order of the table; see shuffle_addresses. The class must be IN or ANY.
  Answer resolve(const Question& question) const;
  const desired::NameTable& table() const { return *table_; }
  const Name& name() const { return name_; }

 private:
  struct Found;
  Found find(const std::string& relative) const;
  Found find_pod(const std::string& relative) const;
  void resolve_below(const Question& question, std::string relative, Answer& out) const;
  void resolve_apex(const Question& question, const Name& apex, Answer& out) const;
  void resolve_reverse(const Question& question, const ReverseName& name, const Name& apex, Answer& out) const;
  void add_row(const Question& question, const Name& owner, const desired::NameRow& row, Answer& out) const;
  void add_services(const Name& owner, const desired::NameRow& row, Answer& out) const;
  void deny(uint16_t rcode, const Name& apex, Answer& out) const;
  Record soa(const Name& apex) const;

  std::shared_ptr<const desired::NameTable> table_;
  PodRecords pods_;
  Name name_, ns_;
  std::string soa_data_;
};

Answer resolve(const desired::NameTable& table, const Question& question, PodRecords pods = PodRecords::kInsecure);

// DNS-T4: addresses of answer and additional in an order that differs from question to question, CNAMEs before them.
void shuffle_addresses(std::vector<Record>& records, uint64_t random);

}  // namespace carrick::dns
