#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "desired/node_view.h"

namespace carrick::cni {

// One attachment of a container to our network: what DEL, CHECK and a restarted agent need.
struct Record {
  std::string id;  // container id, and "/ifname" behind it when that is not eth0
  std::string container_id, ifname, netns, network;
  desired::LocalPod pod;
  uint32_t mtu = 0;
  bool complete = false;  // ADD was answered; one that is not complete after a restart is undone
};

std::string attachment_id(const std::string& container_id, const std::string& ifname);

// One JSON file for each record, mode 0600, replaced at once. Files of another boot are dropped when they are read.
class Store {
 public:
  static Result<Store> open(std::string folder, std::string boot_id);
  Result<void> put(const Record& record);
  Result<void> erase(const std::string& id);  // unknown is success
  // Files that cannot be read are moved aside (".broken") and said in the log: one bad record must not stop the node.
  Result<std::vector<Record>> load();

 private:
  Store(std::string folder, std::string boot_id) : folder_(std::move(folder)), boot_id_(std::move(boot_id)) {}
  std::string path_of(const std::string& id) const;
  std::string folder_, boot_id_;
};

}  // namespace carrick::cni
