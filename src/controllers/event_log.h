#pragma once

#include "controllers/documents.h"

namespace carrick::controllers {

// Writes core/v1 Events. The same thing said again raises the count of the same Event, so that a loop cannot fill the
// store.
class EventLog {
 public:
  EventLog(Cluster& cluster, bool enabled, std::function<Time()> now)
      : cluster_(cluster), enabled_(enabled), now_(std::move(now)) {}
  void normal(const k8s::ResourceType& type, const k8s::ObjectMeta& about, std::string_view source,
              std::string_view reason, std::string_view message) {
    write("Normal", type, about, source, reason, message);
  }
  void warning(const k8s::ResourceType& type, const k8s::ObjectMeta& about, std::string_view source,
               std::string_view reason, std::string_view message) {
    write("Warning", type, about, source, reason, message);
  }

 private:
  void write(std::string_view severity, const k8s::ResourceType& type, const k8s::ObjectMeta& about,
             std::string_view source, std::string_view reason, std::string_view message);

  Cluster& cluster_;
  bool enabled_;
  std::function<Time()> now_;
};

}  // namespace carrick::controllers
