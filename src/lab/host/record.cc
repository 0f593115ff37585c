#include "lab/host/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>

#include "lab/host/cgroups.h"
#include "lab/host/files.h"
#include "lab/host/process.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr auto kDeathLimit = std::chrono::seconds(10);

}  // namespace

Result<void> write_record(const LabRecord& record) {
  json::object document{{"pid", record.pid},
                        {"start_time", record.start_time},
                        {"api_port", record.api_port},
                        {"config", json::parse(encode_config(record.config))}};
  return write_file_atomically(LabPaths{record.config.name, ""}.record(), json::serialize(document), 0600);
}

Result<LabRecord> read_record(const std::string& name) {
  auto text = read_file(LabPaths{name, ""}.record());
  if (!text && text.error().kind == ErrorKind::kNotFound)
    return fail(ErrorKind::kNotFound, "there is no lab \"{}\"", name);
  if (!text) return std::unexpected(text.error());
  try {
    json::value document = json::parse(*text);
    LabRecord record;
    record.pid = document.at("pid").to_number<pid_t>();
    record.start_time = document.at("start_time").to_number<uint64_t>();
    record.api_port = document.at("api_port").to_number<int>();
    record.config = TRY(decode_config(json::serialize(document.at("config"))));
    return record;
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInternal, "{}: {}", LabPaths{name, ""}.record(), e.what());
  }
}

Result<RunningLab> find_running_lab(const std::string& name) {
  LabRecord record = TRY(read_record(name));
  auto pidfd = open_process(record.pid, record.start_time);
  if (!pidfd)
    return fail(
        ErrorKind::kNotFound,
        "lab \"{}\" is dead (its supervisor, process {}, has ended); `carrick lab down --name {}` removes what is left",
        name, record.pid, name);
  LabPaths paths{name, fmt::format("/proc/{}/root", record.pid)};
  return RunningLab{std::move(record), std::move(*pidfd), std::move(paths)};
}

std::vector<KnownLab> list_labs() {
  std::vector<KnownLab> out;
  DIR* dir = ::opendir(kLabsDir);
  if (!dir) return out;
  while (dirent* entry = ::readdir(dir)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    KnownLab known{.name = entry->d_name};
    if (auto record = read_record(known.name)) {
      known.alive = open_process(record->pid, record->start_time).has_value();
      known.record = std::move(*record);
    }
    out.push_back(std::move(known));
  }
  ::closedir(dir);
  std::ranges::sort(out, {}, &KnownLab::name);
  return out;
}

Result<LabLock> LabLock::take(const std::string& name) {
  std::string path = LabPaths{name, ""}.lock();
  for (;;) {
    TRY_VOID(make_directories(kLabsDir, 0755));
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file && errno == ENOENT) continue;  // the last lab went in between, and the folder with it
    if (!file) return fail_errno(errno, path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
      return fail(ErrorKind::kAlreadyExists, "another `carrick lab up` or `lab down` of \"{}\" is at work", name);
    // The holder before us removed the file when it let go: then ours is a lock on a name that is no longer there.
    struct stat held{}, named{};
    if (::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino)
      return LabLock(std::move(path), std::move(file));
  }
}

LabLock::~LabLock() {
  if (!file_) return;
  ::unlink(path_.c_str());
  ::rmdir(kLabsDir);  // only when the last lab has gone
  ::rmdir("/run/carrick");
}

Result<void> destroy_lab(const std::string& name) {
  LabPaths paths{name, ""};
  if (auto record = read_record(name)) {
    if (auto pidfd = open_process(record->pid, record->start_time)) {
      TRY_VOID(kill_process(*pidfd, SIGKILL));
      // It is PID 1 of its namespace: the kernel kills the others, and it ends when they have.
      if (!wait_for_end(*pidfd, kDeathLimit))
        return fail(ErrorKind::kTransient, "lab \"{}\": process {} does not end", name, record->pid);
    }
  }
  if (auto mount = find_cgroup2()) {
    TRY_VOID(remove_cgroup_tree(lab_cgroup(*mount, name)));
    ::rmdir((*mount + "/carrick").c_str());  // only when the last lab has gone
  }
  return remove_tree(paths.run());
}

}  // namespace carrick::lab
