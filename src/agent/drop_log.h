#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <unordered_map>

#include "desired/desired.h"
#include "wire/events.h"

// The packets that the data plane ended lately: what `carrick drops` shows.
namespace carrick::agent {

// "Pod shop/web", "Node node1", "Service shop/web", or empty for whoever no table knows.
std::string name_of(const desired::Tables& tables, const net::SocketAddress& at, net::Protocol protocol);

// From ns of the clock of events to ns since 1970, as of now.
std::function<int64_t(uint64_t)> events_to_wall_clock();

// Packets that differ only in their source port, count or size are one entry, so that a flood of one kind takes one
// place, and of many kinds the newest `limit`.
class DropLog {
 public:
  using Namer = std::function<std::string(const net::SocketAddress&, net::Protocol)>;
  static constexpr size_t kLimit = 256;

  explicit DropLog(size_t limit = kLimit) : limit_(limit) {}

  // Names are asked for once an entry: later its pod may be gone.
  void add(const drop_event& event, const Namer& namer);
  uint64_t events() const { return events_; }  // ever added
  size_t size() const { return entries_.size(); }

  // {"change","events","entries":[{"change","time","packets","reason","hook","protocol","length","from":{"address",
  // "port","name"},"to":{...}}]}, oldest change first, of those that have changed since `after`, which is the "change"
  // of an earlier answer.
  boost::json::object since(uint64_t after, const std::function<int64_t(uint64_t)>& to_wall) const;

 private:
  struct Key {
    net::IpAddress from, to;
    uint32_t ifindex = 0;
    uint16_t to_port = 0;
    uint8_t reason = 0, hook = 0, protocol = 0;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Key key;
    uint64_t change = 0, packets = 0, time = 0;
    uint32_t length = 0;
    uint16_t from_port = 0;
    std::string from_name, to_name;
  };

  size_t limit_;
  uint64_t events_ = 0;
  std::list<Entry> entries_;  // the newest change first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> by_key_;
};

}  // namespace carrick::agent
