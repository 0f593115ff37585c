#pragma once

#include "controllers/controllers.h"
#include "controllers/mirror.h"
#include "controllers/work_queue.h"

namespace carrick::controllers {

class EventLog;

// What every controller works with.
struct Desk {
  Cluster& cluster;
  const Mirror& mirror;
  const Options& options;
  EventLog& events;
  Time now() const { return options.now(); }
};

// One level-triggered loop: observe() only notes keys; reconcile() looks at what is, and may be called at any time, any
// number of times, for any key.
class Controller {
 public:
  explicit Controller(Desk& desk) : desk_(desk) {}
  virtual ~Controller() = default;
  virtual std::string_view name() const = 0;
  // Once, after the mirror has been filled and every object observed.
  virtual void start() {}
  virtual void observe(const Change& change) = 0;
  virtual Result<void> reconcile(const k8s::NamespacedName& key) = 0;

  WorkQueue queue;

 protected:
  Cluster& cluster() const { return desk_.cluster; }
  const Mirror& mirror() const { return desk_.mirror; }
  Time now() const { return desk_.now(); }
  Desk& desk_;
};

}  // namespace carrick::controllers
