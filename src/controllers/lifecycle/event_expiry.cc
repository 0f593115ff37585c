#include "controllers/lifecycle/event_expiry.h"

namespace carrick::controllers {

namespace {

constexpr std::chrono::hours kLife{1};

const k8s::ResourceType& events_type() { return *k8s::find_by_kind("v1", "Event"); }

}  // namespace

void EventExpiry::observe(const Change& change) {
  // The key may wait for an earlier time than the newest count asks for: reconcile looks again.
  if (change.type == &events_type() && change.now) queue.add_at(change.key, now() + kLife);
}

Result<void> EventExpiry::reconcile(const k8s::NamespacedName& key) {
  const Document event = cluster().get(events_type(), key);
  if (!event) return {};
  auto said = parse_timestamp(text_at(*event, {"lastTimestamp"}));
  if (!said) said = parse_timestamp(text_at(*event, {"metadata", "creationTimestamp"}));
  if (said && *said + kLife > now()) {
    queue.add_at(key, *said + kLife);
    return {};
  }
  auto removed = cluster().remove(events_type(), key);
  if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  return {};
}

}  // namespace carrick::controllers
