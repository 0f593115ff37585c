#pragma once

#include "base/fd.h"
#include "lab/host/record.h"

namespace carrick::lab {

// A lab that has been started and is tied to this process: it ends when this object does, unless keep() was called.
class LaunchedLab {
 public:
  // The machine is checked, the name is free (a dead lab of that name is removed), the port too. kAlreadyExists,
  // kInvalid and kUnsupported with a sentence. Returns when its API server serves.
  static Result<LaunchedLab> launch(LabConfig config);
  void keep();
  const RunningLab& lab() const { return lab_; }
  LaunchedLab(LaunchedLab&&) = default;
  ~LaunchedLab();

 private:
  LaunchedLab(RunningLab lab, LabLock lock, Fd tether)
      : lab_(std::move(lab)), lock_(std::move(lock)), tether_(std::move(tether)) {}
  RunningLab lab_;
  LabLock lock_;
  Fd tether_;
};

}  // namespace carrick::lab
