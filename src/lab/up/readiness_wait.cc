#include "lab/up/readiness_wait.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <iterator>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "k8s/resources.h"
#include "kernel/unix_socket.h"
#include "lab/connect.h"
#include "watch/watch.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr auto kWorkloadPeriod = std::chrono::milliseconds(40);
constexpr std::array<std::string_view, 5> kWorkloads = {"/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets",
                                                        "/apis/apps/v1/daemonsets", "/apis/apps/v1/replicasets",
                                                        "/apis/batch/v1/jobs"};

int64_t number_at(const json::object& document, const char* part, const char* field, int64_t absent) {
  auto* inner = document.if_contains(part);
  auto* value = inner && inner->is_object() ? inner->as_object().if_contains(field) : nullptr;
  return value && value->is_number() ? value->to_number<int64_t>() : absent;
}

// Empty when the controller has seen the workload and it has the pods it wants.
std::string workload_problem(std::string_view path, const json::object& document) {
  std::string name = std::string(document.at("metadata").at("namespace").as_string()) + "/" +
                     std::string(document.at("metadata").at("name").as_string());
  int64_t generation = number_at(document, "metadata", "generation", 0);
  bool jobs = path.ends_with("jobs"), daemons = path.ends_with("daemonsets");
  std::string kind = std::string(path.substr(path.rfind('/') + 1));
  kind.pop_back();
  if (jobs) {
    int64_t wanted =
        std::min(number_at(document, "spec", "parallelism", 1), number_at(document, "spec", "completions", 1));
    int64_t there = number_at(document, "status", "active", 0) + number_at(document, "status", "succeeded", 0);
    return there >= wanted ? "" : fmt::format("{} {}: {} of {} pods", kind, name, there, wanted);
  }
  if (number_at(document, "status", "observedGeneration", 0) < generation)
    return fmt::format("{} {}: not yet looked at by its controller", kind, name);
  int64_t wanted =
      daemons ? number_at(document, "status", "desiredNumberScheduled", 0) : number_at(document, "spec", "replicas", 1);
  int64_t ready =
      daemons ? number_at(document, "status", "numberReady", 0) : number_at(document, "status", "readyReplicas", 0);
  return ready >= wanted ? "" : fmt::format("{} {}: {} of {} pods ready", kind, name, ready, wanted);
}

const k8s::Condition* condition_of(const std::vector<k8s::Condition>& conditions, std::string_view type) {
  for (const k8s::Condition& condition : conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

std::string pod_problem(const k8s::Pod& pod) {
  if (pod.status.phase == "Succeeded") return "";
  auto* ready = condition_of(pod.status.conditions, "Ready");
  if (ready && ready->status == "True") return "";
  std::string because = pod.status.message;
  if (auto* scheduled = condition_of(pod.status.conditions, "PodScheduled"); scheduled && scheduled->status == "False")
    because = scheduled->message;
  if (because.empty() && ready) because = ready->message;
  if (because.empty())
    because = pod.spec.nodeName.empty() ? "not bound to a node" : "being started on " + pod.spec.nodeName;
  return fmt::format("pod {}: {}", pod.metadata.key().str(), because);
}

template <class T>
uint64_t newest(const k8s::ObjectMap<T>& objects) {
  uint64_t out = 0;
  for (const auto& [key, object] : objects) {
    uint64_t version = 0;
    const std::string& text = object->metadata.resourceVersion;
    std::from_chars(text.data(), text.data() + text.size(), version);
    out = std::max(out, version);
  }
  return out;
}

// An agent whose "versions" reach these has seen every object that is here.
std::vector<std::pair<const char*, uint64_t>> newest_of_each_kind(const k8s::Snapshot& snapshot) {
  return {{"namespaces", newest(snapshot.namespaces)},
          {"nodes", newest(snapshot.nodes)},
          {"pods", newest(snapshot.pods)},
          {"services", newest(snapshot.services)},
          {"endpointslices", newest(snapshot.endpointslices)},
          {"networkpolicies", newest(snapshot.networkpolicies)},
          {"clusternetworkpolicies", newest(snapshot.clusternetworkpolicies)}};
}

// The first Service whose endpoints nobody has looked for yet; empty when there is none.
std::string service_problem(const k8s::Snapshot& snapshot) {
  std::set<k8s::NamespacedName> sliced;
  for (const auto& [key, slice] : snapshot.endpointslices)
    if (auto label = slice->metadata.labels.find(k8s::kServiceNameLabel); label != slice->metadata.labels.end())
      sliced.insert({key.namespace_, label->second});
  for (const auto& [key, service] : snapshot.services)
    if (!service->spec.selector.empty() && service->spec.type != "ExternalName" && !sliced.contains(key))
      return fmt::format("Service {}: its endpoints have not been looked for yet", key.str());
  return "";
}

// Processes of the lab that have ended although nobody wanted it, each with the last line of its log: where one cannot
// start, the others can only say that they wait for it.
std::vector<std::string> ended_processes(const RunningLab& lab) {
  constexpr int kPatienceMs = 1000;
  std::vector<std::string> out;
  auto answer = kernel::ask_line(lab.paths.control(), R"({"verb":"status"})", kPatienceMs);
  std::error_code error;
  json::value document = answer ? json::parse(*answer, error) : json::value();
  if (error || !document.is_object() || !document.as_object().contains("children")) return out;
  for (const json::value& each : document.at("children").as_array()) {
    auto restarts = each.at("restarts").to_number<int64_t>();
    if (restarts == 0) continue;
    std::string name(each.at("name").as_string());
    std::string log = read_file(lab.paths.log(name)).value_or("");
    std::string_view last = trim(log);
    last.remove_prefix(last.rfind('\n') + 1);  // npos + 1: none
    out.push_back(fmt::format("{} has ended {} times: {}", name, restarts, last));
  }
  return out;
}

class Waiter {
 public:
  Waiter(const RunningLab& lab, const watch::Credentials& credentials,
         const std::function<void(const Progress&)>& progress)
      : lab_(lab),
        progress_(progress),
        client_(io_, credentials, 5),
        timer_(io_),
        deadline_(io_),
        watcher_(io_, client_, [this](auto snapshot, const k8s::ChangeSet&) {
          snapshot_ = std::move(snapshot);
          report();
        }) {}

  WaitEnd run(std::chrono::seconds limit) {
    watcher_.start();
    deadline_.expires_after(limit);
    deadline_.async_wait([this](boost::system::error_code error) {
      if (!error) io_.stop();
    });
    look();
    io_.run();
    if (problems_.empty() && !done_) problems_.push_back("the API server does not answer");
    if (!done_) std::ranges::copy(ended_processes(lab_), std::inserter(problems_, problems_.begin()));
    return {snapshot_, done_ ? std::vector<std::string>() : problems_};
  }

 private:
  void again() {
    timer_.expires_after(kWorkloadPeriod);
    timer_.async_wait([this](boost::system::error_code error) {
      if (!error) look();
    });
  }
  void report() {
    progress_now_ = {.agents_realized = progress_now_.agents_realized};
    for (const auto& [key, node] : snapshot_->nodes) {
      ++progress_now_.nodes;
      auto* ready = condition_of(node->status.conditions, "Ready");
      progress_now_.nodes_ready += ready && ready->status == "True";
    }
    for (const auto& [key, pod] : snapshot_->pods) {
      ++progress_now_.pods;
      progress_now_.pods_ready += pod_problem(*pod).empty();
    }
    if (progress_) progress_(progress_now_);
  }
  // Pods are looked at first: only when they are ready is it worth asking for more.
  void look() {
    problems_.clear();
    if (!snapshot_) return again();
    for (const auto& [key, node] : snapshot_->nodes) {
      auto* ready = condition_of(node->status.conditions, "Ready");
      if (!ready || ready->status != "True")
        problems_.push_back(fmt::format("node {}: {}", key.name, ready ? ready->message : "no status yet"));
    }
    if (static_cast<int>(snapshot_->nodes.size()) < lab_.record.config.nodes)
      problems_.push_back(
          fmt::format("{} of {} nodes are registered", snapshot_->nodes.size(), lab_.record.config.nodes));
    for (const auto& [key, pod] : snapshot_->pods)
      if (auto problem = pod_problem(*pod); !problem.empty()) problems_.push_back(std::move(problem));
    if (auto problem = service_problem(*snapshot_); !problem.empty()) problems_.push_back(std::move(problem));
    if (!problems_.empty()) return again();
    ask_workload(0);
  }
  void ask_workload(size_t index) {
    if (index == kWorkloads.size()) return problems_.empty() ? ask_agents() : again();
    std::string_view path = kWorkloads[index];
    client_.request({.target = std::string(path)}, [this, path, index](Result<watch::HttpResponse> answer) {
      std::error_code error;
      json::value list = answer ? json::parse(answer->body, error) : json::value();
      if (!answer || error || !list.is_object()) {
        problems_.push_back(answer ? "the API server's answer is no list" : answer.error().message);
        return again();
      }
      if (auto* items = list.as_object().if_contains("items"); items && items->is_array())
        for (const json::value& item : items->as_array())
          if (auto problem = workload_problem(path, item.as_object()); !problem.empty())
            problems_.push_back(std::move(problem));
      ask_workload(index + 1);
    });
  }
  void ask_agents() {
    progress_now_.agents_realized = 0;
    const auto wanted = newest_of_each_kind(*snapshot_);
    for (const AgentDoor& door : agent_doors(lab_)) {
      auto answer = ask_agent(door, "status", 1000);
      std::string problem = answer ? agent_problem(door.node, *answer, wanted) : answer.error().message;
      if (problem.empty())
        ++progress_now_.agents_realized;
      else
        problems_.push_back(std::move(problem));
    }
    if (progress_) progress_(progress_now_);
    if (!problems_.empty()) return again();
    done_ = true;
    io_.stop();
  }
  using Versions = std::vector<std::pair<const char*, uint64_t>>;
  static std::string agent_problem(const std::string& node, const json::value& answer, const Versions& wanted) {
    std::string problem =
        answer.is_object() ? status_problem(answer.as_object(), wanted) : "its status is not understood";
    return problem.empty() ? "" : fmt::format("agent of {}: {}", node, problem);
  }
  static std::string status_problem(const json::object& status, const Versions& wanted) {
    if (auto* failures = status.if_contains("failures");
        failures && failures->is_array() && !failures->as_array().empty())
      return "not realized: " + json::serialize(failures->as_array().front());
    auto* revision = status.if_contains("revision");
    auto* realized = status.if_contains("realized");
    if (!revision || !realized) return "its status names no revision";
    if (realized->to_number<int64_t>() < revision->to_number<int64_t>())
      return fmt::format("revision {} is known, {} is realized", revision->to_number<int64_t>(),
                         realized->to_number<int64_t>());
    for (const auto& [kind, version] : wanted)
      if (int64_t seen = number_at(status, "versions", kind, 0); seen < static_cast<int64_t>(version))
        return fmt::format("{} are known up to resourceVersion {}, there is {}", kind, seen, version);
    return "";
  }

  const RunningLab& lab_;
  const std::function<void(const Progress&)>& progress_;
  asio::io_context io_{1};
  watch::Client client_;
  asio::steady_timer timer_, deadline_;
  std::shared_ptr<const k8s::Snapshot> snapshot_;
  Progress progress_now_;
  std::vector<std::string> problems_;
  bool done_ = false;
  watch::SnapshotWatcher watcher_;
};

}  // namespace

WaitEnd wait_until_ready(const RunningLab& lab, const watch::Credentials& credentials, std::chrono::seconds limit,
                         const std::function<void(const Progress&)>& progress) {
  return Waiter(lab, credentials, progress).run(limit);
}

}  // namespace carrick::lab
