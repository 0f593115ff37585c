#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"

namespace carrick {

Result<std::string> read_file(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path);
  std::string content;
  char buffer[16384];
  for (;;) {
    ssize_t size = read(fd.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, path);
    if (size == 0) return content;
    content.append(buffer, static_cast<size_t>(size));
  }
}

Result<void> write_file_atomically(const std::string& path, std::string_view content, unsigned mode) {
  std::string temporary = path + ".XXXXXX";
  Fd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return fail_errno(errno, fmt::format("write {}", path));
  Result<void> outcome = [&]() -> Result<void> {
    if (fchmod(fd.get(), mode) < 0) return fail_errno(errno, fmt::format("write {}", path));
    for (size_t done = 0; done < content.size();) {
      ssize_t size = write(fd.get(), content.data() + done, content.size() - done);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return fail_errno(errno, fmt::format("write {}", path));
      done += static_cast<size_t>(size);
    }
    if (std::rename(temporary.c_str(), path.c_str()) < 0) return fail_errno(errno, fmt::format("write {}", path));
    return {};
  }();
  if (!outcome) unlink(temporary.c_str());
  return outcome;
}

Result<void> make_directories(const std::string& path, unsigned mode) {
  if (path.empty() || mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return fail_errno(errno, fmt::format("create {}", path));
  size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return fail_errno(ENOENT, fmt::format("create {}", path));
  TRY_VOID(make_directories(path.substr(0, slash), mode));
  if (mkdir(path.c_str(), mode) < 0 && errno != EEXIST) return fail_errno(errno, fmt::format("create {}", path));
  return {};
}

}  // namespace carrick
