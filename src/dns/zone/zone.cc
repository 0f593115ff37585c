#include "dns/zone/zone.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>

#include "base/text.h"

namespace carrick::dns {
namespace {

constexpr int kMaxHops = 8;  // of ExternalNames that lead to each other

// "default" of "default.svc"; nothing unless exactly one label stands before the suffix.
std::optional<std::string> single_label_before(const std::string& relative, std::string_view suffix) {
  if (!relative.ends_with(suffix) || relative.size() == suffix.size()) return std::nullopt;
  std::string label = relative.substr(0, relative.size() - suffix.size());
  if (label.find('.') != std::string::npos) return std::nullopt;
  return label;
}

}  // namespace

// What a name of the zone is. The row may be empty: the name exists without records.
struct Zone::Found {
  bool exists = false;
  desired::NameRow own;  // for pods and endpoints without hostname, which are no rows of the table
  const desired::NameRow* in_table = nullptr;
  const desired::NameRow& row() const { return in_table ? *in_table : own; }
};

Zone::Zone(std::shared_ptr<const desired::NameTable> table, PodRecords pods) : table_(std::move(table)), pods_(pods) {
  auto zone = Name::parse(table_->zone);
  name_ = zone && !zone->is_root() ? std::move(*zone)
                                   : *Name::parse("cluster.local");  // never the authority for everything
  if (auto ns = join_names("ns.dns", name_)) ns_ = std::move(*ns);
  Name hostmaster;
  if (auto name = join_names("hostmaster", name_)) hostmaster = std::move(*name);
  soa_data_ = soa_data(ns_, hostmaster, table_->serial, 7200, 1800, 86400, table_->ttl);  // DNS-N1
}

Answer Zone::resolve(const Question& question) const {
  Answer out;
  if (auto relative = question.name.relative_to(name_)) {
    if (relative->empty())
      resolve_apex(question, name_, out);
    else
      resolve_below(question, std::move(*relative), out);
    return out;
  }
  if (auto reverse = parse_reverse(question.name)) {
    for (const net::Prefix& zone : table_->reverse_zones) {
      size_t cut = reverse_labels(zone);
      if (reverse->v4 != zone.is_v4() || !zone.contains(reverse->prefix) || reverse->labels < cut) continue;
      resolve_reverse(question, *reverse, question.name.suffix(cut + 2), out);
      return out;
    }
    // An endpoint outside of every range of ours still has its name here.
    if (reverse->complete() && desired::has_reverse_names(*table_, reverse->prefix)) {
      resolve_reverse(question, *reverse, question.name, out);
      return out;
    }
  }
  out.outside = true;
  return out;
}

void Zone::resolve_apex(const Question& question, const Name& apex, Answer& out) const {
  if (question.type == kSoa) {
    out.answer.push_back(soa(question.name));
  } else if (question.type == kNs) {
    out.answer.push_back({question.name, kNs, table_->ttl, name_data(ns_)});
    for (const net::IpAddress& address : table_->dns_service)
      out.additional.push_back(address_record(ns_, address, table_->ttl));
  } else {
    deny(kNoError, apex, out);
  }
}

Zone::Found Zone::find_pod(const std::string& relative) const {
  size_t dot = relative.find('.');
  std::string rest = relative.substr(dot + 1);
  auto ns = single_label_before(rest, ".pod");
  if (pods_ == PodRecords::kDisabled || !ns || !table_->namespaces.contains(*ns)) return {};
  auto address = desired::undashed(std::string_view(relative).substr(0, dot));
  if (!address) return {};
  if (pods_ == PodRecords::kVerified) {
    auto pod = table_->pods.find(*address);
    if (pod == table_->pods.end() || pod->second != *ns) return {};
  }
  Found found{.exists = true};
  found.own.addresses = {*address};
  return found;
}

Zone::Found Zone::find(const std::string& relative) const {
  if (auto row = table_->names.find(relative); row != table_->names.end())
    return {.exists = true, .in_table = &row->second};
  if (relative.ends_with(".pod")) return find_pod(relative);
  if (auto row = desired::endpoint_row(*table_, relative)) return {.exists = true, .own = std::move(*row)};
  return {};
}

void Zone::resolve_below(const Question& question, std::string relative, Answer& out) const {
  Name owner = question.name;
  std::set<std::string> seen;
  for (int hop = 0; hop < kMaxHops && seen.insert(relative).second; ++hop) {
    Found found = find(relative);
    if (!found.exists) return deny(kNxDomain, name_, out);
    const desired::NameRow& row = found.row();
    auto target = row.cname.empty() ? Result<Name>() : Name::parse(row.cname);
    if (row.cname.empty() || !target) {
      size_t before = out.answer.size();
      add_row(question, owner, row, out);
      if (out.answer.size() == before) return deny(kNoError, name_, out);
      return;
    }
    out.answer.push_back({owner, kCname, table_->ttl, name_data(*target)});
    if (question.type == kCname || question.type == kAny) return;
    auto inside = target->relative_to(name_);
    if (!inside) {
      out.chase = std::move(*target);
      return;
    }
    owner = std::move(*target);
    relative = std::move(*inside);
    if (relative.empty()) return deny(kNoError, name_, out);
  }
}

void Zone::add_row(const Question& question, const Name& owner, const desired::NameRow& row, Answer& out) const {
  switch (question.type) {
    case kA:
    case kAaaa:
      for (const net::IpAddress& address : row.addresses)
        if (address.is_v4() == (question.type == kA)) out.answer.push_back(address_record(owner, address, table_->ttl));
      break;
    case kSrv:
      add_services(owner, row, out);
      break;
    case kTxt:
      for (const std::string& text : row.texts) out.answer.push_back({owner, kTxt, table_->ttl, txt_data(text)});
      break;
    case kAny:  // RFC 8482 4.2
      if (!row.addresses.empty() || !row.services.empty() || !row.texts.empty())
        out.answer.push_back({owner, kHinfo, table_->ttl, txt_data("RFC8482") + txt_data("")});
      break;
    default:
      break;
  }
}

void Zone::add_services(const Name& owner, const desired::NameRow& row, Answer& out) const {
  std::set<std::string_view> targets;
  for (const desired::SrvRecord& srv : row.services) {
    auto target = join_names(srv.target, name_);
    if (!target) continue;
    out.answer.push_back({owner, kSrv, table_->ttl, srv_data(srv.priority, srv.weight, srv.port, *target)});
    if (!targets.insert(srv.target).second) continue;
    const Found found = find(srv.target);
    for (const net::IpAddress& address : found.row().addresses)
      out.additional.push_back(address_record(*target, address, table_->ttl));
  }
}

void Zone::resolve_reverse(const Question& question, const ReverseName& name, const Name& apex, Answer& out) const {
  if (!name.well_formed) return deny(kNxDomain, apex, out);
  if (!name.complete()) {
    if (question.name == apex) return resolve_apex(question, apex, out);
    return deny(desired::has_reverse_names(*table_, name.prefix) ? kNoError : kNxDomain, apex, out);
  }
  const auto targets = desired::reverse_names(*table_, name.prefix.address());
  if (targets.empty()) return deny(kNxDomain, apex, out);
  if (question.type == kPtr || question.type == kAny)
    for (const std::string& target : targets)
      if (auto full = join_names(target, name_))
        out.answer.push_back({question.name, kPtr, table_->ttl, name_data(*full)});
  if (out.answer.empty()) deny(kNoError, apex, out);
}

// Before the table is complete, absence is not known (DNS-N6).
void Zone::deny(uint16_t rcode, const Name& apex, Answer& out) const {
  if (!table_->synced) {
    out.rcode = kServFail;
    return;
  }
  out.rcode = rcode;
  out.authority.push_back(soa(apex));
}

Record Zone::soa(const Name& apex) const { return {apex, kSoa, table_->ttl, soa_data_}; }

Answer resolve(const desired::NameTable& table, const Question& question, PodRecords pods) {
  return Zone(std::make_shared<desired::NameTable>(table), pods).resolve(question);
}

void shuffle_addresses(std::vector<Record>& records, uint64_t random) {
  std::vector<Record> addresses, others;
  for (Record& record : records)
    (record.type == kA || record.type == kAaaa ? addresses : others).push_back(std::move(record));
  std::minstd_rand generator(static_cast<uint32_t>(random | 1));
  std::ranges::shuffle(addresses, generator);
  records = std::move(others);
  std::ranges::move(addresses, std::back_inserter(records));
}

}  // namespace carrick::dns
