#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cni/call.h"
#include "cni/plumb.h"
#include "cni/result_json.h"
#include "cni/store.h"
#include "ipam/ipam.h"

namespace carrick::cni {

// Everything that this node has attached: addresses, wires and records kept together, synchronously. The server lays
// sockets, deadlines and the wait for the data plane around it.
//
// Order of an ADD: address, record (incomplete), wires, then complete(); of a removal: wires, then forget() = address,
// record. A crash between any two leaves a record that says what to undo.
class Attachments {
 public:
  struct Options {
    std::string state_dir;  // holds ipam.json and attachments/; made when absent (0700)
    std::string boot_id;
    kernel::Network* network = nullptr;
    std::function<Result<void>(uint32_t ifindex)> attach;  // see PodPlumbRequest
    uint32_t mtu = 1500;
  };
  static Result<Attachments> open(Options options);

  ipam::Pool& pool() { return pool_; }
  void set_mtu(uint32_t mtu) { options_.mtu = mtu; }
  const std::map<std::string, Record>& records() const { return records_; }
  const Record* find(const std::string& id) const;

  // Undoes what was not complete at the crash, forgets pods whose host end is gone and removes orphaned host ends; what
  // stays is in records(). Blocks for one link removal.
  Result<void> recover();
  // Records whose host end has vanished without DEL (its namespace died): nobody will ever call for them (CNI-R1).
  std::vector<std::string> vanished();

  CniResultOf<Record> add(const Call& call, const NetConf& conf);  // until complete(), a restart undoes it
  CniResultOf<> complete(const std::string& id);
  CniResultOf<> check(const Call& call, const NetConf& conf);
  CniResultOf<> status() const;
  // Ids that GC is to remove: of network `network`, and not valid.
  std::vector<std::string> not_in(const std::vector<Attachment>& valid, const std::string& network) const;
  std::vector<std::string> orphaned_links();

  // The host end is gone: address and record go too. Unknown ids are success.
  CniResultOf<> forget(const std::string& id);

  static AddResult result_of(const Record& record);

 private:
  Attachments(Options options, ipam::Pool pool, Store store, Plumber plumber)
      : options_(std::move(options)), pool_(std::move(pool)), store_(std::move(store)), plumber_(std::move(plumber)) {}
  CniResultOf<Record> plan(const Call& call, const NetConf& conf, const Wishes& wishes);

  Options options_;
  ipam::Pool pool_;
  Store store_;
  Plumber plumber_;
  std::map<std::string, Record> records_;
};

CniError to_cni(const Error& error);

}  // namespace carrick::cni
