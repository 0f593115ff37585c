#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/timestamp.h"
#include "desired/services/findings.h"
#include "realize/realize.h"
#include "watch/client.h"

// What a node has to complain about Services, said as Events of theirs, so that `kubectl describe` shows it.
namespace carrick::agent {

struct Complaint {
  k8s::NamespacedName service;
  std::string reason;   // "FieldLeadsNowhere", "NotRealized"
  std::string about;    // with service and reason: what makes it the same complaint, whatever the message says by now
  std::string message;  // one sentence
};

// Fields of Services and their EndpointSlices that lead nowhere, and rows of Services that this node could not realize.
std::vector<Complaint> complaints_of(const desired::FindingTable& findings, const realize::Status& realized,
                                     const std::string& node);

// Says each complaint once in half an hour. What every node complains about has the same name of an Event everywhere,
// so a cluster says it once. One question at a time, and at most kBurst Events at once, then one in kPause: a cluster
// full of bad Services costs the API server little. On one thread.
class Complainer {
 public:
  using Clock = std::chrono::steady_clock;
  using Answer = std::function<void(Result<watch::HttpResponse>)>;
  using Ask = std::function<void(watch::HttpRequest, Answer)>;
  static constexpr size_t kBurst = 25;
  static constexpr std::chrono::seconds kPause{10}, kAgain{1800};

  // `now`: the time of day, as Events have it.
  Complainer(std::string node, Ask ask, std::function<Timestamp()> now);

  // All there is to complain about at this time. What could not be said stays for the next call.
  void set(const std::vector<Complaint>& complaints, Clock::time_point at);
  bool waits() const { return !queue_.empty(); }  // call set() again after kPause

 private:
  void next();
  void find_service(const Complaint& complaint);
  void write_event(const Complaint& complaint, const std::string& uid);

  std::string node_;
  Ask ask_;
  std::function<Timestamp()> now_;
  std::deque<Complaint> queue_;
  std::map<std::string, Clock::time_point> said_;  // by the name of the Event
  size_t budget_ = kBurst;
  Clock::time_point refilled_{};
  bool asking_ = false;
};

}  // namespace carrick::agent
