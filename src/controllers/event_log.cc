#include "controllers/event_log.h"

#include "net/ip.h"

namespace carrick::controllers {

void EventLog::write(std::string_view severity, const k8s::ResourceType& type, const k8s::ObjectMeta& about,
                     std::string_view source, std::string_view reason, std::string_view message) {
  if (!enabled_) return;
  const auto* events = k8s::find_by_kind("v1", "Event");
  if (!events) return;
  const std::string namespace_ = about.namespace_.empty() ? "default" : about.namespace_;
  const std::string time = timestamp(now_());
  const auto name = fmt::format("{}.{:016x}", about.name,
                                net::stable_hash(fmt::format("{}/{}/{}/{}", type.kind, about.uid, reason, message)));
  // An Event is advice: one that cannot be written (its namespace is going away) is not a failure of the work.
  if (const auto old = cluster_.get(*events, {namespace_, name})) {
    json::object again = *old;
    again["count"] = number_at(*old, {"count"}).value_or(1) + 1;
    again["lastTimestamp"] = time;
    (void)cluster_.update(*events, std::move(again));
    return;
  }
  json::object event = new_document(*events, namespace_, name);
  event["involvedObject"] = json::object{{"apiVersion", type.apiVersion()},
                                         {"kind", type.kind},
                                         {"namespace", about.namespace_},
                                         {"name", about.name},
                                         {"uid", about.uid},
                                         {"resourceVersion", about.resourceVersion}};
  event["type"] = severity;
  event["reason"] = reason;
  event["message"] = message;
  event["source"] = json::object{{"component", source}};
  event["reportingComponent"] = source;
  event["firstTimestamp"] = time;
  event["lastTimestamp"] = time;
  event["count"] = 1;
  (void)cluster_.create(*events, std::move(event));
}

}  // namespace carrick::controllers
