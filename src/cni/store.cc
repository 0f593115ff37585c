#include "cni/store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"

namespace carrick::cni {
namespace json = boost::json;
namespace {

json::object encode(const Record& record, const std::string& boot_id) {
  json::array addresses, ports;
  for (const net::IpAddress& address : record.pod.addresses) addresses.emplace_back(address.str());
  for (const desired::PortMapping& port : record.pod.port_mappings) {
    ports.emplace_back(json::object{{"hostPort", port.host_port},
                                    {"containerPort", port.container_port},
                                    {"protocol", std::string(net::protocol_name(port.protocol))},
                                    {"hostIP", port.host_ip.str()}});
  }
  return {{"boot_id", boot_id},
          {"id", record.id},
          {"containerID", record.container_id},
          {"ifname", record.ifname},
          {"netns", record.netns},
          {"network", record.network},
          {"complete", record.complete},
          {"mtu", record.mtu},
          {"namespace", record.pod.pod.namespace_},
          {"name", record.pod.pod.name},
          {"uid", record.pod.uid},
          {"hostLink", record.pod.host_link},
          {"ifindex", record.pod.ifindex},
          {"podMac", record.pod.pod_mac.str()},
          {"hostMac", record.pod.host_mac.str()},
          {"addresses", std::move(addresses)},
          {"portMappings", std::move(ports)}};
}

std::string text(const json::object& object, const char* key) { return std::string(object.at(key).as_string()); }

// Throws what Boost.JSON throws on a missing or wrong member.
Result<Record> decode(const json::object& object) {
  Record record{.id = text(object, "id"),
                .container_id = text(object, "containerID"),
                .ifname = text(object, "ifname"),
                .netns = text(object, "netns"),
                .network = text(object, "network"),
                .pod = {},
                .mtu = object.at("mtu").to_number<uint32_t>(),
                .complete = object.at("complete").as_bool()};
  record.pod.pod = {text(object, "namespace"), text(object, "name")};
  record.pod.uid = text(object, "uid");
  record.pod.container_id = record.container_id;
  record.pod.host_link = text(object, "hostLink");
  record.pod.ifindex = object.at("ifindex").to_number<uint32_t>();
  record.pod.pod_mac = TRY(net::MacAddress::parse(text(object, "podMac")));
  record.pod.host_mac = TRY(net::MacAddress::parse(text(object, "hostMac")));
  for (const json::value& address : object.at("addresses").as_array())
    record.pod.addresses.push_back(TRY(net::IpAddress::parse(address.as_string())));
  for (const json::value& item : object.at("portMappings").as_array()) {
    const json::object& port = item.as_object();
    record.pod.port_mappings.push_back({.host_port = port.at("hostPort").to_number<uint16_t>(),
                                        .container_port = port.at("containerPort").to_number<uint16_t>(),
                                        .protocol = TRY(net::parse_protocol(text(port, "protocol"))),
                                        .host_ip = TRY(net::IpAddress::parse(text(port, "hostIP")))});
  }
  return record;
}

}  // namespace

std::string attachment_id(const std::string& container_id, const std::string& ifname) {
  return ifname == "eth0" ? container_id : container_id + "/" + ifname;
}

Result<Store> Store::open(std::string folder, std::string boot_id) {
  if (mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return fail_errno(errno, fmt::format("create {}", folder));
  return Store(std::move(folder), std::move(boot_id));
}

// Ids are longer than file names may be, and hold a slash.
std::string Store::path_of(const std::string& id) const {
  return fmt::format("{}/{:016x}.json", folder_, net::stable_hash(id));
}

Result<void> Store::put(const Record& record) {
  return write_file_atomically(path_of(record.id), json::serialize(encode(record, boot_id_)) + "\n", 0600);
}

Result<void> Store::erase(const std::string& id) {
  if (unlink(path_of(id).c_str()) < 0 && errno != ENOENT)
    return fail_errno(errno, fmt::format("forget attachment {}", id));
  return {};
}

Result<std::vector<Record>> Store::load() {
  std::vector<Record> out;
  std::error_code error;
  for (auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().extension() != ".json") continue;
    std::string path = entry.path().string();
    auto record = [&]() -> Result<Record> {
      std::string content = TRY(read_file(path));
      try {
        json::value document = json::parse(content);
        if (text(document.as_object(), "boot_id") != boot_id_) return fail(ErrorKind::kNotFound, "of another boot");
        return decode(document.as_object());
      } catch (const std::exception& e) {
        return fail(ErrorKind::kInternal, "{}", e.what());
      }
    }();
    if (record) {
      out.push_back(std::move(*record));
    } else if (record.error().kind == ErrorKind::kNotFound) {
      unlink(path.c_str());
    } else {
      log::warn("attachment record {}: {}; moved aside", path, record.error().message);
      std::filesystem::rename(path, path + ".broken", error);
    }
  }
  if (error) return fail(ErrorKind::kInternal, "{}: {}", folder_, error.message());
  return out;
}

}  // namespace carrick::cni
