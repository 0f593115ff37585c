#include "cni/attachments.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"

namespace carrick::cni {
namespace json = boost::json;
namespace {

std::unexpected<CniError> cni_fail(int code, std::string msg, std::string details = {}) {
  return std::unexpected(CniError{code, std::move(msg), std::move(details)});
}

Result<std::vector<desired::PortMapping>> port_mappings(const Wishes& wishes) {
  std::vector<desired::PortMapping> out;
  for (const PortMapping& wish : wishes.port_mappings) {
    net::IpAddress host_ip;
    if (!wish.host_ip.empty()) host_ip = TRY(net::IpAddress::parse(wish.host_ip));
    if (host_ip.is_unspecified()) host_ip = net::IpAddress();  // 0.0.0.0 and :: both mean every address
    out.push_back({.host_port = wish.host_port,
                   .container_port = wish.container_port,
                   .protocol = TRY(net::parse_protocol(wish.protocol)),
                   .host_ip = host_ip});
  }
  return out;
}

// Of prevResult: what this attachment gave. Other plugins' interfaces and addresses are theirs to check.
CniResultOf<> check_previous(const Record& record, const json::object& previous) {
  const json::value* interfaces = previous.if_contains("interfaces");
  size_t ours = SIZE_MAX;
  if (interfaces && interfaces->is_array()) {
    for (size_t i = 0; i < interfaces->get_array().size(); ++i) {
      const json::object* item = interfaces->get_array()[i].if_object();
      const json::value *name = item ? item->if_contains("name") : nullptr,
                        *sandbox = item ? item->if_contains("sandbox") : nullptr;
      if (name && name->is_string() && name->get_string() == record.ifname && sandbox && sandbox->is_string() &&
          !sandbox->get_string().empty())
        ours = i;
    }
  }
  if (ours == SIZE_MAX) return cni_fail(kFailed, "prevResult does not name the interface " + record.ifname);
  const json::value* ips = previous.if_contains("ips");
  size_t found = 0;
  for (size_t i = 0; ips && ips->is_array() && i < ips->get_array().size(); ++i) {
    const json::object* item = ips->get_array()[i].if_object();
    const json::value *index = item ? item->if_contains("interface") : nullptr,
                      *address = item ? item->if_contains("address") : nullptr;
    boost::system::error_code error;
    if (!index || index->to_number<size_t>(error) != ours || error) continue;
    std::string text = address && address->is_string() ? std::string(address->get_string()) : std::string();
    auto parsed = net::IpAddress::parse(text.substr(0, text.find('/')));
    if (!parsed || !std::ranges::count(record.pod.addresses, *parsed))
      return cni_fail(kFailed, "prevResult's address " + text + " is not of " + record.id);
    ++found;
  }
  if (found != record.pod.addresses.size())
    return cni_fail(kFailed, "prevResult does not name every address of " + record.id);
  return {};
}

}  // namespace

CniError to_cni(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kTransient:
    case ErrorKind::kConflict:
      return {kTryAgainLater, error.message, {}};
    case ErrorKind::kInvalid:
      return {kBadConfig, error.message, {}};
    default:
      return {kFailed, error.message, {}};
  }
}

Result<Attachments> Attachments::open(Options options) {
  TRY_VOID(make_directories(options.state_dir, 0700));
  auto pool = TRY(ipam::Pool::open(options.state_dir + "/ipam.json", options.boot_id));
  auto store = TRY(Store::open(options.state_dir + "/attachments", options.boot_id));
  auto plumber = TRY(Plumber::open(*options.network));
  return Attachments(std::move(options), std::move(pool), std::move(store), std::move(plumber));
}

const Record* Attachments::find(const std::string& id) const {
  auto it = records_.find(id);
  return it == records_.end() ? nullptr : &it->second;
}

Result<void> Attachments::recover() {
  std::map<std::string, kernel::Link> links;
  for (kernel::Link& link : TRY(plumber_.host_links())) links.emplace(link.name, std::move(link));
  std::set<std::string> kept;
  for (Record& record : TRY(store_.load())) {
    auto link = links.find(record.pod.host_link);
    bool alive = record.complete && link != links.end() && link->second.ifindex == record.pod.ifindex;
    if (!alive) {
      log::info("attachment {} is undone: {}", record.id,
                record.complete ? "its link is gone" : "its ADD was never answered");
      TRY_VOID(store_.erase(record.id));
      continue;
    }
    if (auto adopted = pool_.adopt(record.id, record.pod.addresses); !adopted)
      log::error("attachment {}: {}", record.id, adopted.error().message);
    kept.insert(record.id);
    links.erase(link);
    records_.insert_or_assign(record.id, std::move(record));
  }
  std::vector<std::string> orphans;
  for (auto& [name, link] : links) orphans.push_back(name);
  TRY_VOID(remove_host_links(*options_.network, orphans));
  TRY(pool_.keep_only(kept));
  return {};
}

std::vector<std::string> Attachments::vanished() {
  auto links = plumber_.host_links();
  if (!links) return {};
  std::set<uint32_t> alive;
  for (const kernel::Link& link : *links) alive.insert(link.ifindex);
  std::vector<std::string> out;
  for (auto& [id, record] : records_) {
    if (record.complete && !alive.contains(record.pod.ifindex)) out.push_back(id);
  }
  return out;
}

std::vector<std::string> Attachments::orphaned_links() {
  std::vector<std::string> out;
  std::set<std::string> known;
  for (auto& [id, record] : records_) known.insert(record.pod.host_link);
  auto links = plumber_.host_links();
  if (!links) return {};
  for (const kernel::Link& link : *links) {
    if (!known.contains(link.name)) out.push_back(link.name);
  }
  return out;
}

CniResultOf<Record> Attachments::plan(const Call& call, const NetConf& conf, const Wishes& wishes) {
  Record record{.id = attachment_id(call.container_id, call.ifname),
                .container_id = call.container_id,
                .ifname = call.ifname,
                .netns = call.netns,
                .network = conf.name,
                .pod = {},
                .mtu = conf.mtu ? conf.mtu : options_.mtu};
  if (records_.contains(record.id))
    return cni_fail(kFailed, "container " + call.container_id + " is attached as " + call.ifname + " already");
  record.pod.pod = {wishes.pod_namespace, wishes.pod_name};
  record.pod.uid = wishes.pod_uid;
  record.pod.container_id = call.container_id;
  auto ports = port_mappings(wishes);
  if (!ports) return std::unexpected(to_cni(ports.error()));
  record.pod.port_mappings = std::move(*ports);
  if (!wishes.mac.empty()) {
    auto mac = net::MacAddress::parse(wishes.mac);
    if (!mac) return std::unexpected(to_cni(mac.error()));
    record.pod.pod_mac = *mac;
  }
  std::vector<net::IpAddress> wanted;
  for (const std::string& text : wishes.ips) {
    auto address = net::IpAddress::parse(text);
    if (!address) return std::unexpected(to_cni(address.error()));
    wanted.push_back(*address);
  }
  auto addresses = pool_.allocate(record.id, wanted);
  if (!addresses) return std::unexpected(to_cni(addresses.error()));
  record.pod.addresses = std::move(*addresses);
  return record;
}

CniResultOf<Record> Attachments::add(const Call& call, const NetConf& conf) {
  auto wishes = read_wishes(conf, call.args);
  if (!wishes) return std::unexpected(wishes.error());
  auto record = plan(call, conf, *wishes);
  if (!record) return record;
  auto wired = [&]() -> Result<desired::LocalPod> {
    TRY_VOID(store_.put(*record));
    return plumber_.plumb({.id = record->id,
                           .netns = call.netns,
                           .ifname = call.ifname,
                           .addresses = record->pod.addresses,
                           .mtu = record->mtu,
                           .pod_mac = record->pod.pod_mac,
                           .attach = options_.attach});
  }();
  if (!wired) {
    if (auto undone = forget(record->id); !undone) log::error("undo of ADD {}: {}", record->id, undone.error().msg);
    return std::unexpected(to_cni(wired.error()));
  }
  record->pod.host_link = wired->host_link;
  record->pod.ifindex = wired->ifindex;
  record->pod.pod_mac = wired->pod_mac;
  record->pod.host_mac = wired->host_mac;
  records_.insert_or_assign(record->id, *record);
  return record;
}

CniResultOf<> Attachments::complete(const std::string& id) {
  auto it = records_.find(id);
  if (it == records_.end()) return cni_fail(kFailed, "attachment " + id + " is gone");
  it->second.complete = true;
  auto stored = store_.put(it->second);
  if (stored) return {};
  it->second.complete = false;
  return std::unexpected(to_cni(stored.error()));
}

CniResultOf<> Attachments::forget(const std::string& id) {
  records_.erase(id);
  auto released = pool_.release(id);
  auto erased = store_.erase(id);
  if (!released) return std::unexpected(to_cni(released.error()));
  if (!erased) return std::unexpected(to_cni(erased.error()));
  return {};
}

CniResultOf<> Attachments::check(const Call& call, const NetConf& conf) {
  const Record* record = find(attachment_id(call.container_id, call.ifname));
  if (!record || !record->complete)
    return cni_fail(kFailed, "container " + call.container_id + " is not attached as " + call.ifname);
  const json::value* previous = conf.document.if_contains("prevResult");
  if (!previous || !previous->is_object()) return cni_fail(kBadConfig, "required prevResult is missing");
  if (auto named = check_previous(*record, previous->get_object()); !named) return named;
  auto wired = plumber_.check(record->pod, call.netns, call.ifname);
  if (!wired) return std::unexpected(CniError{kFailed, wired.error().message, {}});
  for (const net::IpAddress& address : record->pod.addresses) {
    const std::string* owner = pool_.owner_of(address);
    if (!owner || *owner != record->id)
      return cni_fail(kFailed, "address " + address.str() + " is not reserved for " + record->id);
  }
  return {};
}

CniResultOf<> Attachments::status() const {
  auto possible = pool_.can_allocate();
  if (!possible) return cni_fail(kNotAvailable, "no pod can be added", possible.error().message);
  return {};
}

std::vector<std::string> Attachments::not_in(const std::vector<Attachment>& valid, const std::string& network) const {
  std::set<Attachment> keep(valid.begin(), valid.end());
  std::vector<std::string> out;
  for (auto& [id, record] : records_) {
    if (record.network == network && record.complete && !keep.contains({record.container_id, record.ifname}))
      out.push_back(id);
  }
  return out;
}

AddResult Attachments::result_of(const Record& record) {
  AddResult out;
  out.interfaces = {
      {.name = record.pod.host_link, .mac = record.pod.host_mac.str(), .mtu = record.mtu, .sandbox = {}},
      {.name = record.ifname, .mac = record.pod.pod_mac.str(), .mtu = record.mtu, .sandbox = record.netns}};
  for (const net::IpAddress& address : record.pod.addresses) {
    std::string gateway = address.is_v4() ? desired::kPodGatewayV4 : desired::kPodGatewayV6;
    out.ips.push_back(
        {.address = address.str() + (address.is_v4() ? "/32" : "/128"), .gateway = gateway, .interface = 1});
    out.routes.push_back({.dst = address.is_v4() ? "0.0.0.0/0" : "::/0", .gw = gateway});
  }
  return out;
}

}  // namespace carrick::cni
