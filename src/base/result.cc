#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace carrick {

std::unexpected<Error> fail_errno(int error_number, std::string_view what) {
  ErrorKind kind = ErrorKind::kInternal;
  switch (error_number) {
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
      kind = ErrorKind::kTransient;
      break;
    case ENOENT:
    case ESRCH:
    case ENODEV:
      kind = ErrorKind::kNotFound;
      break;
    case EEXIST:
      kind = ErrorKind::kAlreadyExists;
      break;
    case EPERM:
    case EACCES:
    case EOPNOTSUPP:
    case ENOSYS:
      kind = ErrorKind::kUnsupported;
      break;
    default:
      break;
  }
  return fail(kind, "{}: {}", what, std::strerror(error_number));
}

}  // namespace carrick
