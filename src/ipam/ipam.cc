#include "ipam/ipam.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace carrick::ipam {
namespace {

// IPv6 ranges are counted in the low 64 bits; nobody gives out more than that.
uint64_t low64(const net::IpAddress& address) {
  if (address.is_v4()) return address.v4_host_order();
  uint64_t value = 0;
  for (int i = 8; i < 16; ++i) value = value << 8 | address.bytes()[i];
  return value;
}

}  // namespace

Result<Pool> Pool::open(std::string file, std::string boot_id) {
  Pool pool;
  pool.file_ = std::move(file);
  pool.boot_id_ = std::move(boot_id);
  TRY_VOID(pool.load());
  return pool;
}

Result<void> Pool::set_cidrs(std::vector<net::Prefix> cidrs) {
  if (cidrs.size() > 2 || (cidrs.size() == 2 && cidrs[0].is_v4() == cidrs[1].is_v4()))
    return fail(ErrorKind::kInvalid, "podCIDRs: at most one CIDR of each family, not {}", cidrs.size());
  cidrs_ = std::move(cidrs);
  return {};
}

Pool::Range Pool::range_of(const net::Prefix& cidr) {
  int host_bits = 128 - cidr.length();
  uint64_t last = host_bits >= 64 ? std::numeric_limits<uint64_t>::max() : (uint64_t{1} << host_bits) - 1;
  if (host_bits < 2) return {0, last};  // /31, /32: point to point, nothing to reserve (RFC 3021)
  return {2, cidr.is_v4() ? last - 1 : last};
}

uint64_t Pool::offset_in(const net::Prefix& cidr, const net::IpAddress& address) {
  return low64(address) - low64(cidr.address());
}

size_t Pool::taken_in(const net::Prefix& cidr) const {
  return static_cast<size_t>(
      std::ranges::count_if(by_address_, [&](const auto& entry) { return cidr.contains(entry.first); }));
}

Result<net::IpAddress> Pool::next_free(const net::Prefix& cidr) const {
  Range range = range_of(cidr);
  auto last = last_.find(cidr.str());
  uint64_t offset = last == last_.end() ? range.first : offset_in(cidr, last->second) + 1;
  // One more try than there are addresses taken must find a free one, when there is any.
  uint64_t tries = std::min<uint64_t>(range.last - range.first, by_address_.size()) + 1;
  for (; tries; --tries, ++offset) {
    if (offset > range.last || offset < range.first) offset = range.first;
    net::IpAddress candidate = cidr.address().plus(offset);
    if (!by_address_.contains(candidate)) return candidate;
  }
  return fail(ErrorKind::kTransient, "no free address in {}: all {} are taken", cidr.str(), taken_in(cidr));
}

Result<net::IpAddress> Pool::check_wanted(const net::Prefix& cidr, const net::IpAddress& address) const {
  Range range = range_of(cidr);
  uint64_t offset = offset_in(cidr, address);
  if (!cidr.contains(address))
    return fail(ErrorKind::kInvalid, "requested address {} is not in this node's {}", address.str(), cidr.str());
  if (offset < range.first || offset > range.last)
    return fail(ErrorKind::kInvalid, "requested address {} is reserved in {}", address.str(), cidr.str());
  if (by_address_.contains(address)) return fail(ErrorKind::kConflict, "requested address {} is in use", address.str());
  return address;
}

Result<std::vector<net::IpAddress>> Pool::allocate(const std::string& owner,
                                                   const std::vector<net::IpAddress>& wanted) {
  if (cidrs_.empty()) return fail(ErrorKind::kTransient, "this node has no podCIDR yet");
  for (const net::IpAddress& address : wanted) {
    auto same_family = [&](const net::Prefix& cidr) { return cidr.is_v4() == address.is_v4(); };
    if (std::ranges::none_of(cidrs_, same_family))
      return fail(ErrorKind::kInvalid, "requested address {} is of a family that this node's pods do not have",
                  address.str());
  }
  if (auto known = by_owner_.find(owner); known != by_owner_.end()) {
    for (const net::IpAddress& address : wanted) {
      if (!std::ranges::count(known->second.addresses, address))
        return fail(ErrorKind::kConflict, "{} has other addresses than the requested {}", owner, address.str());
    }
    return known->second.addresses;
  }
  std::vector<net::IpAddress> given;
  for (const net::Prefix& cidr : cidrs_) {
    auto fixed = std::ranges::find_if(wanted, [&](const net::IpAddress& a) { return cidr.is_v4() == a.is_v4(); });
    given.push_back(TRY(fixed == wanted.end() ? next_free(cidr) : check_wanted(cidr, *fixed)));
  }
  auto last_before = last_;
  for (size_t i = 0; i < cidrs_.size(); ++i) {
    if (!std::ranges::count(wanted, given[i])) last_[cidrs_[i].str()] = given[i];
  }
  take(owner, given);
  auto saved = save();
  if (!saved) {
    drop(owner);
    last_ = last_before;
    return std::unexpected(saved.error());
  }
  return given;
}

Result<void> Pool::can_allocate() const {
  if (cidrs_.empty()) return fail(ErrorKind::kTransient, "this node has no podCIDR yet");
  for (const net::Prefix& cidr : cidrs_) TRY_VOID(next_free(cidr));
  return {};
}

Result<void> Pool::release(const std::string& owner) {
  if (!by_owner_.contains(owner)) return {};
  drop(owner);
  return save();
}

Result<size_t> Pool::keep_only(const std::set<std::string>& owners) {
  std::vector<std::string> doomed;
  for (auto& [owner, holding] : by_owner_) {
    if (!owners.contains(owner)) doomed.push_back(owner);
  }
  for (const std::string& owner : doomed) drop(owner);
  if (!doomed.empty()) TRY_VOID(save());
  return doomed.size();
}

Result<void> Pool::adopt(const std::string& owner, const std::vector<net::IpAddress>& addresses) {
  if (auto known = by_owner_.find(owner); known != by_owner_.end() && known->second.addresses == addresses) return {};
  for (const net::IpAddress& address : addresses) {
    auto holder = by_address_.find(address);
    if (holder != by_address_.end() && holder->second != owner)
      return fail(ErrorKind::kConflict, "{} of {} is held by {}", address.str(), owner, holder->second);
  }
  drop(owner);
  take(owner, addresses);
  return save();
}

const std::string* Pool::owner_of(const net::IpAddress& address) const {
  auto it = by_address_.find(address);
  return it == by_address_.end() ? nullptr : &it->second;
}

void Pool::take(const std::string& owner, std::vector<net::IpAddress> addresses) {
  for (const net::IpAddress& address : addresses) by_address_[address] = owner;
  std::string text = state_text(owner, addresses);
  by_owner_[owner] = {std::move(addresses), std::move(text)};
}

void Pool::drop(const std::string& owner) {
  auto it = by_owner_.find(owner);
  if (it == by_owner_.end()) return;
  for (const net::IpAddress& address : it->second.addresses) by_address_.erase(address);
  by_owner_.erase(it);
}

}  // namespace carrick::ipam
