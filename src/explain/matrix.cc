#include <algorithm>
#include <unordered_map>

#include "desired/object_facts.h"
#include "explain/resolvers.h"

// The truth table. A pair of pods that no policy can tell from another pair has its verdict: the work is that of the
// pairs of identities, not of the pairs of pods.
namespace carrick::explain {
namespace {

constexpr uint32_t kAlone = ~0u;  // a pod in its node's network: where it is decides, so its verdicts are nobody else's

struct Result {
  Verdict verdict = Verdict::kAllow;
  uint32_t owners = 0;
};

class Builder {
 public:
  Builder(const World& world, const MatrixOptions& options) : judge_(world), world_(world), options_(options) {
    out_.via = options.via;
  }

  Matrix run() {
    out_.owner_sets.emplace_back();
    owner_ids_.emplace(std::vector<desired::Owner>(), 0);
    for (const auto& [key, place] : judge_.pods())
      if (!options_.from || options_.from(*place.pod)) add_source(key, place);
    if (options_.via == Via::kPod)
      pods();
    else
      services();
    return std::move(out_);
  }

 private:
  void add_source(const k8s::NamespacedName& key, const PodPlace& place) {
    MatrixSource source{key, {}, {}, place.node};
    for (const auto& address : place.addresses) (address.is_v4() ? source.address : source.address6) = address;
    out_.sources.push_back(std::move(source));
    places_.push_back(&place);
  }

  // The target's address of the family that both have.
  const net::IpAddress* common(const PodPlace& from, const PodPlace& to) const {
    for (Family family : {Family::kV4, Family::kV6}) {
      if (options_.family != Family::kAny && options_.family != family) continue;
      const auto* target = to.address(family);
      if (target && from.address(family)) return target;
    }
    return nullptr;
  }

  void pods() {
    std::vector<const PodPlace*> targets;
    for (const auto& [key, place] : judge_.pods()) {
      if (options_.to && !options_.to(*place.pod)) continue;
      const auto* address = place.address(options_.family);
      out_.targets.push_back({key.str(), address ? *address : net::IpAddress(), {}, {key}});
      targets.push_back(&place);
    }
    for (uint32_t from = 0; from < places_.size(); ++from) {
      for (uint32_t to = 0; to < targets.size(); ++to) {
        if (targets[to] == places_[from]) continue;
        const auto* address = common(*places_[from], *targets[to]);
        if (!address) continue;
        for (const auto& port : *targets[to]->listeners) {
          if (!wanted(port)) continue;
          Result result = judge(*places_[from], *targets[to], *address, port);
          out_.cells.push_back(
              {from, to, result.owners, port.port, port.protocol, result.verdict, bit(result.verdict)});
        }
      }
    }
  }

  bool wanted(const desired::Listener& port) const { return options_.sctp || port.protocol != net::Protocol::kSctp; }
  static uint8_t bit(Verdict verdict) { return static_cast<uint8_t>(1u << static_cast<unsigned>(verdict)); }

  // Identity, class and flags of a pod's address in the tables of its node, as a small number.
  uint32_t profile(const PodPlace& place, const net::IpAddress& address) {
    if (place.host_network) return kAlone;
    auto [entry, fresh] = profiles_.try_emplace(address, 0);
    if (!fresh) return entry->second;
    const auto* tables = judge_.tables(place.node);
    const auto* row = judge_.local_pod(*tables, address);
    if (!row) return entry->second = kAlone;
    auto key = std::tuple(row->identity, judge_.cidr_class(*tables, address), row->ingress_isolated,
                          row->egress_isolated, row->blocked);
    return entry->second = profile_ids_.try_emplace(key, static_cast<uint32_t>(profile_ids_.size())).first->second;
  }

  Result judge(const PodPlace& from, const PodPlace& to, const net::IpAddress& address, const desired::Listener& port) {
    const auto& source = *from.address(address.is_v4() ? Family::kV4 : Family::kV6);
    if (&from == &to) return ask(from, source, address, port);
    uint32_t a = profile(from, source), b = profile(to, address);
    if (a == kAlone || b == kAlone) return ask(from, source, address, port);
    // Whether it listens is the target's own affair, not its identity's.
    bool open = to.listeners->contains(port);
    uint64_t ports = static_cast<uint64_t>(port.protocol) << 17 | static_cast<uint64_t>(port.port) << 1 | open;
    auto [entry, fresh] = verdicts_[static_cast<uint64_t>(a) << 32 | b].try_emplace(ports, Result());
    if (fresh) entry->second = ask(from, source, address, port);
    return entry->second;
  }

  Result ask(const PodPlace& from, const net::IpAddress& source, const net::IpAddress& address,
             const desired::Listener& port) {
    return keep(judge_connection(judge_, {source, &from, {address, port.port}, port.protocol, {}, from.node}, nullptr));
  }

  Result keep(Outcome outcome) {
    std::ranges::sort(outcome.owners);
    outcome.owners.erase(std::unique(outcome.owners.begin(), outcome.owners.end()), outcome.owners.end());
    auto [entry, fresh] =
        owner_ids_.try_emplace(std::move(outcome.owners), static_cast<uint32_t>(out_.owner_sets.size()));
    if (fresh) out_.owner_sets.push_back(entry->first);
    return {outcome.verdict, entry->second};
  }

  void services() {
    if (options_.via == Via::kDns)
      for (const auto* place : places_) dns_.push_back(dns(*place));
    for (const auto& [key, service] : world_.snapshot->services) {
      bool headless = service->spec.clusterIP == "None";
      if (service->spec.type == "ExternalName" || service->spec.selector.empty() ||
          (headless && options_.via != Via::kDns))
        continue;
      if (headless)
        add_headless(*service);
      else
        add_service(*service);
    }
  }

  struct Names {  // what a source learns of the cluster's names
    Result result;
    uint8_t possible = 0;
  };
  Names dns(const PodPlace& place) {
    NameAccess access = name_access(judge_, place);
    return {keep({access.verdict, std::move(access.owners)}), access.possible};
  }

  MatrixTarget target_of(const k8s::Service& service) const {
    MatrixTarget out;
    out.name = service.metadata.namespace_ + "/svc/" + service.metadata.name;
    std::string zone = world_.tables.empty() ? "" : world_.tables.begin()->second.names.zone;
    out.dns_name = fmt::format("{}.{}.svc.{}", service.metadata.name, service.metadata.namespace_, zone);
    return out;
  }

  bool answers(const std::set<k8s::NamespacedName>& pods) const {
    if (!options_.to) return true;
    return std::ranges::any_of(pods,
                               [&](const auto& key) { return judge_.pod(key) && options_.to(*judge_.pod(key)->pod); });
  }

  void add_service(const k8s::Service& service) {
    std::vector<net::IpAddress> addresses;
    for (const auto& text : service.spec.clusterIPs)
      if (auto address = net::IpAddress::parse(text); address && of_family(*address, options_.family))
        addresses.push_back(*address);
    std::ranges::sort(addresses, {}, [](const auto& a) { return std::pair(!a.is_v4(), a); });
    MatrixTarget target = target_of(service);
    if (!addresses.empty()) target.address = addresses.front();
    const auto to = static_cast<uint32_t>(out_.targets.size());
    std::vector<Cell> cells;
    for (uint32_t from = 0; from < places_.size(); ++from) {
      auto address = std::ranges::find_if(addresses, [&](const auto& a) {
        return places_[from]->address(a.is_v4() ? Family::kV4 : Family::kV6) != nullptr;
      });
      if (address == addresses.end()) {
        if (options_.via == Via::kDns) no_address(service, from, to, cells);
        continue;
      }
      for (const auto& port : service.spec.ports) {
        desired::Listener asked{static_cast<uint16_t>(port.port), desired::protocol_or_tcp(port.protocol)};
        const auto* row =
            judge_.frontend(*judge_.tables(places_[from]->node), *address, asked, desired::FrontendScope::kInternal);
        if (!row || !wanted(asked) || row->kind == desired::FrontendKind::kDns) continue;
        Cell cell{from, to, 0, asked.port, asked.protocol};
        if (row->backends.empty())
          add_verdict(cell,
                      {row->drop_when_empty ? Verdict::kDeny : Verdict::kRefuse, keep({{}, {row->owner}}).owners});
        for (const auto& backend : row->backends) {
          const auto* place = judge_.pod(backend.pod);
          if (!place) return;  // not (only) pods: who listens there is not ours to say
          target.pods.insert(backend.pod);
          add_verdict(cell, judge(*places_[from], *place, backend.address, {backend.port, asked.protocol}));
        }
        cells.push_back(after_dns(cell));
      }
    }
    add_target(std::move(target), cells);
  }

  // The name exists, without an address of a family that the client may use.
  void no_address(const k8s::Service& service, uint32_t from, uint32_t to, std::vector<Cell>& cells) {
    for (const auto& port : service.spec.ports) {
      Cell cell{from, to, 0, static_cast<uint16_t>(port.port), desired::protocol_or_tcp(port.protocol)};
      if (!wanted({cell.port, cell.protocol})) continue;
      auto owner = desired::owner_of("Service", service.metadata, "spec.ipFamilies");
      add_verdict(cell, {Verdict::kRefuse, keep({{}, {std::move(owner)}}).owners});
      cells.push_back(after_dns(cell));
    }
  }

  // A headless name gives the pods' own addresses; the client brings the Service's port.
  void add_headless(const k8s::Service& service) {
    MatrixTarget target = target_of(service);
    const auto to = static_cast<uint32_t>(out_.targets.size());
    std::vector<Cell> cells;
    for (uint32_t from = 0; from < places_.size(); ++from) {
      const auto& names = judge_.tables(places_[from]->node)->names;
      auto row = names.names.find(fmt::format("{}.{}.svc", service.metadata.name, service.metadata.namespace_));
      std::vector<const net::IpAddress*> addresses;
      if (row != names.names.end())
        for (Family family : {Family::kV4, Family::kV6}) {
          if (!addresses.empty() || (options_.family != Family::kAny && options_.family != family) ||
              !places_[from]->address(family))
            continue;
          for (const auto& address : row->second.addresses)
            if (of_family(address, family)) addresses.push_back(&address);
        }
      for (const auto& port : service.spec.ports) {
        desired::Listener asked{static_cast<uint16_t>(port.port), desired::protocol_or_tcp(port.protocol)};
        if (!wanted(asked)) continue;
        Cell cell{from, to, 0, asked.port, asked.protocol};
        if (addresses.empty())
          add_verdict(cell, {Verdict::kRefuse, keep({{}, {desired::owner_of("Service", service.metadata)}}).owners});
        for (const auto* address : addresses) {
          const auto* place = judge_.pod_at(*address);
          if (!place) return;
          target.pods.insert(place->pod->metadata.key());
          add_verdict(cell, judge(*places_[from], *place, *address, asked));
        }
        cells.push_back(after_dns(cell));
      }
    }
    add_target(std::move(target), cells);
  }

  // The worst one is expected; the others are told.
  static void add_verdict(Cell& cell, const Result& result) {
    auto rank = [](Verdict v) { return v == Verdict::kDeny ? 2 : v == Verdict::kRefuse ? 1 : 0; };
    if (cell.possible == 0 || rank(result.verdict) > rank(cell.expected))
      cell.expected = result.verdict, cell.owners = result.owners;
    cell.possible |= bit(result.verdict);
  }

  Cell after_dns(Cell cell) const {
    if (dns_.empty() || dns_[cell.from].result.verdict == Verdict::kAllow) return cell;
    const Names& names = dns_[cell.from];
    cell.expected = names.result.verdict;
    cell.owners = names.result.owners;
    cell.possible = names.possible;
    return cell;
  }

  void add_target(MatrixTarget target, const std::vector<Cell>& cells) {
    if (cells.empty() || !answers(target.pods)) return;
    out_.targets.push_back(std::move(target));
    out_.cells.insert(out_.cells.end(), cells.begin(), cells.end());
  }

  Judge judge_;
  const World& world_;
  const MatrixOptions& options_;
  Matrix out_;
  std::vector<const PodPlace*> places_;  // of the sources
  std::vector<Names> dns_;               // of the sources, with kDns
  std::map<std::tuple<desired::Identity, desired::CidrClass, bool, bool, bool>, uint32_t> profile_ids_;
  std::unordered_map<net::IpAddress, uint32_t> profiles_;
  std::unordered_map<uint64_t, std::unordered_map<uint64_t, Result>> verdicts_;
  std::map<std::vector<desired::Owner>, uint32_t> owner_ids_;
};

}  // namespace

Matrix matrix(const World& world, const MatrixOptions& options) { return Builder(world, options).run(); }

}  // namespace carrick::explain
