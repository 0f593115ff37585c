#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

namespace carrick {

// What a caller can do about an error. It decides retry, exit code and HTTP status; the sentence is for people.
enum class ErrorKind {
  kInvalid,        // the input is wrong: exit 2, HTTP 400/422; never retried
  kNotFound,       // HTTP 404
  kAlreadyExists,  // HTTP 409 AlreadyExists
  kConflict,       // optimistic lock lost: read again and retry; HTTP 409 Conflict
  kForbidden,      // HTTP 403
  kUnsupported,    // this machine or kernel lacks something: exit 3; never retried
  kTransient,      // may go through later: retried with back-off
  kInternal,       // a defect of ours
};

// One sentence that names the object, and what can be done about it.
struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;

  bool retryable() const { return kind == ErrorKind::kTransient || kind == ErrorKind::kConflict; }
};

template <class T = void>
using Result = std::expected<T, Error>;

template <class... Args>
std::unexpected<Error> fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{kind, fmt::format(format, std::forward<Args>(args)...)});
}

// Same error with a prefix that says what was being done: `return with_context(r.error(), "pod {}", name)`.
template <class... Args>
std::unexpected<Error> with_context(const Error& error, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(
      Error{error.kind, fmt::format("{}: {}", fmt::format(format, std::forward<Args>(args)...), error.message)});
}

// kTransient or kInternal from errno, with strerror text.
std::unexpected<Error> fail_errno(int error_number, std::string_view what);

}  // namespace carrick

// Value of a Result, or return its error from the enclosing function. Not for coroutines.
#define TRY(...)                                                   \
  ({                                                               \
    auto&& try_result_ = (__VA_ARGS__);                            \
    if (!try_result_) return std::unexpected(try_result_.error()); \
    std::move(*try_result_);                                       \
  })
#define TRY_VOID(...)                                              \
  do {                                                             \
    auto&& try_result_ = (__VA_ARGS__);                            \
    if (!try_result_) return std::unexpected(try_result_.error()); \
  } while (false)
