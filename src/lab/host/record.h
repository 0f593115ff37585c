#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "lab/config.h"
#include "lab/host/paths.h"

// What the machine remembers of a lab, in its run folder. A lab is alive while its supervisor, named by pid and start
// time, is.
namespace carrick::lab {

struct LabRecord {
  pid_t pid = 0;  // of the supervisor, as the machine sees it
  uint64_t start_time = 0;
  int api_port = 0;
  LabConfig config;
};

Result<void> write_record(const LabRecord& record);
Result<LabRecord> read_record(const std::string& name);  // kNotFound: there is no such lab

// A lab that is alive: its record, and its files as the machine sees them.
struct RunningLab {
  LabRecord record;
  Fd pidfd;
  LabPaths paths;
};
// kNotFound with a sentence for the user when there is none of that name or it is dead.
Result<RunningLab> find_running_lab(const std::string& name);

struct KnownLab {
  std::string name;
  bool alive = false;
  std::optional<LabRecord> record;
};
std::vector<KnownLab> list_labs();  // by name; dead ones too

// Held by `lab up` and `lab down` while they change what belongs to a name. kAlreadyExists when somebody else holds it.
class LabLock {
 public:
  static Result<LabLock> take(const std::string& name);
  // The lock's file is removed with it.
  ~LabLock();
  LabLock(LabLock&&) = default;

 private:
  LabLock(std::string path, Fd file) : path_(std::move(path)), file_(std::move(file)) {}
  std::string path_;
  Fd file_;
};

// Kills a lab and removes every trace of it: processes, cgroup folders, run folder (mounts, namespaces, links and BPF
// objects go with the processes). Also right for a lab that died half-way, and for a name that never was.
Result<void> destroy_lab(const std::string& name);

}  // namespace carrick::lab
