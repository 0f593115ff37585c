#include "agent/complaints.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"

namespace carrick::agent {
namespace {

namespace json = boost::json;

constexpr size_t kMostRemembered = 10'000, kLongestMessage = 1000;
constexpr std::string_view kSource = "carrick-agent";

// The same on every node and after a restart.
std::string event_name(const Complaint& complaint) {
  return fmt::format(
      "{}.{:016x}", complaint.service.name.substr(0, 200),
      net::stable_hash(fmt::format("{} {} {}", complaint.service.str(), complaint.reason, complaint.about)));
}

std::string text_of(const json::value& document, std::string_view pointer) {
  boost::system::error_code error;
  const json::value* value = document.find_pointer(pointer, error);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

std::vector<Complaint> complaints_of(const desired::FindingTable& findings, const realize::Status& realized,
                                     const std::string& node) {
  std::vector<Complaint> out;
  for (const auto& [service, all] : findings)
    for (const auto& finding : all)
      out.push_back({service, "FieldLeadsNowhere", finding.owner.str(),
                     fmt::format("{}: {}", finding.owner.str(), finding.sentence)});
  for (const auto& failure : realized.failures) {
    // "Service NS/NAME spec.ports[0]"
    const auto words = split(failure.owner, ' ');
    if (words.size() < 2 || words[0] != "Service") continue;
    const auto slash = words[1].find('/');
    if (slash == std::string_view::npos) continue;
    out.push_back({{std::string(words[1].substr(0, slash)), std::string(words[1].substr(slash + 1))},
                   "NotRealized",
                   fmt::format("{} {}", node, failure.table),
                   fmt::format("node {}: {}: {}", node, failure.table, failure.error.message)});
  }
  return out;
}

Complainer::Complainer(std::string node, Ask ask, std::function<Timestamp()> now)
    : node_(std::move(node)), ask_(std::move(ask)), now_(std::move(now)) {}

void Complainer::set(const std::vector<Complaint>& complaints, Clock::time_point at) {
  if (refilled_ == Clock::time_point{}) refilled_ = at;
  const auto earned = static_cast<size_t>((at - refilled_) / kPause);
  budget_ = std::min(kBurst, budget_ + earned);
  refilled_ += kPause * earned;
  if (said_.size() > kMostRemembered) said_.clear();
  std::erase_if(said_, [&](const auto& each) { return at - each.second > kAgain; });
  queue_.clear();
  std::set<std::string> queued;
  for (const auto& complaint : complaints) {
    std::string name = event_name(complaint);
    if (!said_.contains(name) && queued.insert(std::move(name)).second) queue_.push_back(complaint);
    if (queue_.size() == kBurst) break;  // the others have their turn when these are said
  }
  next();
}

void Complainer::next() {
  if (asking_ || queue_.empty() || budget_ == 0) return;
  --budget_;
  asking_ = true;
  Complaint complaint = std::move(queue_.front());
  queue_.pop_front();
  find_service(complaint);
}

// Events carry the uid, which the agent does not keep; and who is gone is not complained about.
void Complainer::find_service(const Complaint& complaint) {
  const auto& [namespace_, name] = complaint.service;
  ask_({"GET", fmt::format("/api/v1/namespaces/{}/services/{}", namespace_, name), "", ""},
       [this, complaint](Result<watch::HttpResponse> answer) {
         boost::system::error_code error;
         const json::value document = answer ? json::parse(answer->body, error) : json::value();
         if (const std::string uid = text_of(document, "/metadata/uid"); !uid.empty()) {
           write_event(complaint, uid);
           return;
         }
         asking_ = false;
         next();
       });
}

void Complainer::write_event(const Complaint& complaint, const std::string& uid) {
  const auto& [namespace_, name] = complaint.service;
  const std::string time = timestamp_text(now_()).value_or("1970-01-01T00:00:00Z");
  std::string event = event_name(complaint);
  const json::object body{
      {"apiVersion", "v1"},
      {"kind", "Event"},
      {"metadata", json::object{{"name", event}, {"namespace", namespace_}}},
      {"involvedObject",
       json::object{
           {"apiVersion", "v1"}, {"kind", "Service"}, {"namespace", namespace_}, {"name", name}, {"uid", uid}}},
      {"type", "Warning"},
      {"reason", complaint.reason},
      {"message", complaint.message.substr(0, kLongestMessage)},
      {"source", json::object{{"component", kSource}, {"host", node_}}},
      {"reportingComponent", kSource},
      {"reportingInstance", node_},
      {"firstTimestamp", time},
      {"lastTimestamp", time},
      {"count", 1}};
  ask_({"POST", fmt::format("/api/v1/namespaces/{}/events", namespace_), json::serialize(body), "application/json"},
       [this, event = std::move(event)](Result<watch::HttpResponse> answer) {
         // Refused: another node has said it, or may say nothing. Only who was not heard tries again.
         if (answer || answer.error().kind != ErrorKind::kTransient) said_[event] = refilled_;
         asking_ = false;
         next();
       });
}

}  // namespace carrick::agent
