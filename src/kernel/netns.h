#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

// Network namespaces by descriptor. Nothing here uses /run/netns; a name is a path that the caller chooses.
namespace carrick::kernel {

// A new namespace with `lo` up, kept alive by a bind mount on the new file `path` (its directory must exist).
// kAlreadyExists when the file is there. The calling thread stays where it is.
Result<Fd> create_netns(const std::string& path);

// A new namespace that lives as long as its descriptors, sockets and processes.
Result<Fd> create_anonymous_netns();

// kNotFound when the path is absent or is no network namespace (an unmounted leftover file).
Result<Fd> open_netns(const std::string& path);

// Unmounts and removes the file; missing is success. The kernel destroys the namespace asynchronously, links included.
Result<void> delete_netns(const std::string& path);

// Identity of a namespace: equal for two descriptors of the same one.
Result<uint64_t> netns_id(int netns_fd);
Result<Fd> own_netns();  // of the calling thread
// What bpf_get_netns_cookie() says of the calling thread's namespace. kUnsupported before Linux 5.14.
Result<uint64_t> own_netns_cookie();

// The calling thread is in another namespace for the life of this object. Sockets created meanwhile stay there.
// A thread that cannot return must not go on: the destructor aborts.
class NetnsScope {
 public:
  static Result<NetnsScope> enter(int netns_fd);
  NetnsScope(NetnsScope&&) = default;
  NetnsScope& operator=(NetnsScope&&) = delete;
  ~NetnsScope();

 private:
  explicit NetnsScope(Fd home) : home_(std::move(home)) {}
  Fd home_;
};

// Runs f() in the namespace; f returns some Result.
template <class F>
auto in_netns(int netns_fd, F&& f) -> decltype(f()) {
  auto scope = NetnsScope::enter(netns_fd);
  if (!scope) return std::unexpected(scope.error());
  return f();
}

}  // namespace carrick::kernel
