#include <algorithm>
#include <optional>

#include "desired/policy/rules.h"

namespace carrick::desired {
namespace {

void take_first(std::optional<TierRule>& first, const std::optional<TierRule>& other) {
  if (other && (!first || *other < *first)) first = other;
}

bool same_peer(const PolicyKey& a, const PolicyKey& b) {
  return a.subject == b.subject && a.direction == b.direction && a.peer_kind == b.peer_kind && a.peer == b.peer;
}

bool covers(const PolicyKey& wide, const PolicyKey& narrow) {
  if (!same_peer(wide, narrow)) return false;
  if (wide.protocol == net::Protocol::kAny) return true;
  const int ignored = 16 - wide.port_bits;
  return wide.protocol == narrow.protocol && wide.port_bits <= narrow.port_bits &&
         (wide.port >> ignored) == (narrow.port >> ignored);
}

// The data plane finds the narrowest row of a peer and port. Where order counts, that row has to know what the wider
// ones say. Rows that cover another one sort before it.
void repeat_wider_rows(std::map<PolicyKey, PolicyRow>& rows) {
  std::vector<std::map<PolicyKey, PolicyRow>::iterator> open;
  for (auto row = rows.begin(); row != rows.end(); ++row) {
    while (!open.empty() && !covers(open.back()->first, row->first)) open.pop_back();
    if (!open.empty()) {
      const PolicyRow& wide = open.back()->second;
      take_first(row->second.admin, wide.admin);
      take_first(row->second.baseline, wide.baseline);
      for (const auto& owner : wide.allowed_by)
        if (std::ranges::find(row->second.allowed_by, owner) == row->second.allowed_by.end())
          row->second.allowed_by.push_back(owner);
    }
    open.push_back(row);
  }
}

// Rows as plain numbers first, sorted once: cheaper than growing the ordered table row by row.
class RowWriter {
 public:
  void add_rule(uint32_t index, const PolicyRule& rule) {
    index_ = index;
    for (Identity subject : rule.subjects) {
      key_ = {};
      key_.subject = subject;
      key_.direction = rule.direction;
      if (rule.any_port) add_peers(rule);
      for (const auto& port : rule.ports) add_port(rule, port);
    }
  }

  std::map<PolicyKey, PolicyRow> finish(const std::vector<PolicyRule>& rules) {
    std::ranges::sort(rows_);
    rows_.erase(std::unique(rows_.begin(), rows_.end()), rows_.end());
    std::map<PolicyKey, PolicyRow> out;
    for (size_t i = 0; i < rows_.size();) {
      PolicyRow row;
      const PolicyKey key = rows_[i].first;
      for (; i < rows_.size() && rows_[i].first == key; ++i) note(row, rules[rows_[i].second]);
      out.emplace_hint(out.end(), key, std::move(row));
    }
    return out;
  }

 private:
  static void note(PolicyRow& row, const PolicyRule& rule) {
    if (rule.tier == PolicyTier::kNetworkPolicy) return row.allowed_by.push_back(rule.owner);
    TierRule one{rule.order, rule.action, rule.owner};
    take_first(rule.tier == PolicyTier::kAdmin ? row.admin : row.baseline, one);
  }

  void emit(PolicyPeerKind kind, uint32_t peer) {
    key_.peer_kind = kind;
    key_.peer = peer;
    rows_.emplace_back(key_, index_);
  }

  void add_peers(const PolicyRule& rule) {
    if (rule.any_peer) return emit(PolicyPeerKind::kAny, 0);
    if (rule.any_pod) emit(PolicyPeerKind::kAnyPod, 0);
    for (Identity peer : rule.peers) emit(PolicyPeerKind::kIdentity, peer);
    for (CidrClass peer : rule.classes) emit(PolicyPeerKind::kCidrClass, peer);
  }

  void set_block(std::pair<uint16_t, uint8_t> block) { key_.port = block.first, key_.port_bits = block.second; }

  void add_port(const PolicyRule& rule, const PolicyRule::Port& port) {
    key_.protocol = port.protocol;
    if (!port.is_named) {
      for (auto block : split_range(port.first, port.last)) {
        set_block(block);
        add_peers(rule);
      }
      return;
    }
    if (rule.direction == Direction::kIngress) {  // the destination is the subject
      auto number = port.named.find(key_.subject);
      if (number == port.named.end()) return;
      set_block({number->second, 16});
      return add_peers(rule);
    }
    for (const auto& [peer, number] : port.named) {
      set_block({number, 16});
      emit(PolicyPeerKind::kIdentity, peer);
    }
    for (const auto& [peer, number] : port.named_classes) {
      set_block({number, 16});
      emit(PolicyPeerKind::kCidrClass, peer);
    }
  }

  uint32_t index_ = 0;
  PolicyKey key_;
  std::vector<std::pair<PolicyKey, uint32_t>> rows_;
};

}  // namespace

std::vector<std::pair<uint16_t, uint8_t>> split_range(uint16_t first, uint16_t last) {
  std::vector<std::pair<uint16_t, uint8_t>> out;
  if (first == 0 && last == 65535) return {{0, 0}};
  for (uint32_t at = first; at <= last;) {
    int free_bits = 0;
    while (free_bits < 16 && (at & (1u << free_bits)) == 0 && at + (2u << free_bits) - 1 <= last) ++free_bits;
    out.emplace_back(static_cast<uint16_t>(at), static_cast<uint8_t>(16 - free_bits));
    at += 1u << free_bits;
  }
  return out;
}

PolicyTable rows_for(const PolicyTable& model, const std::set<Identity>* subjects) {
  PolicyTable out;
  out.cidrs = model.cidrs;
  for (const auto& [id, owners] : model.ingress_isolated_by)
    if (!subjects || subjects->contains(id))
      out.ingress_isolated_by.emplace_hint(out.ingress_isolated_by.end(), id, owners);
  for (const auto& [id, owners] : model.egress_isolated_by)
    if (!subjects || subjects->contains(id))
      out.egress_isolated_by.emplace_hint(out.egress_isolated_by.end(), id, owners);
  for (Identity id : model.ingress_tiered)
    if (!subjects || subjects->contains(id)) out.ingress_tiered.insert(id);
  for (Identity id : model.egress_tiered)
    if (!subjects || subjects->contains(id)) out.egress_tiered.insert(id);
  RowWriter writer;
  for (const auto& rule : model.rules) {
    std::vector<Identity> chosen;
    for (Identity id : rule.subjects)
      if (!subjects || subjects->contains(id)) chosen.push_back(id);
    if (chosen.empty()) continue;
    out.rules.push_back(rule);
    out.rules.back().subjects = std::move(chosen);
    writer.add_rule(static_cast<uint32_t>(out.rules.size() - 1), out.rules.back());
  }
  out.rows = writer.finish(out.rules);
  if (!out.ingress_tiered.empty() || !out.egress_tiered.empty()) repeat_wider_rows(out.rows);
  return out;
}

}  // namespace carrick::desired
