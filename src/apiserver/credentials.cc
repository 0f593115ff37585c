#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>

#include "apiserver/pki.h"
#include "base/fd.h"

namespace carrick::apiserver {
namespace {

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

Result<void> write_private_file(const std::string& path, std::string_view text) {
  const std::string temporary = fmt::format("{}.{}.new", path, ::getpid());
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(errno, temporary);
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      return fail_errno(error, temporary);
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(errno, path);
  return {};
}

Result<Credentials> load_or_make_credentials(const std::string& directory, const ServerNames& names) {
  if (directory.empty()) return make_credentials(names);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, directory);
  Credentials out;
  struct File {
    const char* name;
    std::string* text;
  };
  // The token comes last: where it is, the rest is complete.
  const File files[] = {{"ca.crt", &out.authority.certificate_pem},
                        {"ca.key", &out.authority.key_pem},
                        {"admin.crt", &out.admin.certificate_pem},
                        {"admin.key", &out.admin.key_pem},
                        {"sa.key", &out.token_key},
                        {"admin.token", &out.admin_token}};
  bool complete = true;
  for (const File& file : files) {
    auto text = read_file(directory + "/" + file.name);
    if (text && !text->empty())
      *file.text = std::move(*text);
    else
      complete = false;
    // A directory from before there were tokens of service accounts.
    if (complete && out.token_key.empty() && file.text == &out.token_key) {
      out.token_key = TRY(make_signing_key());
      TRY_VOID(write_private_file(directory + "/" + file.name, out.token_key));
    }
  }
  if (!complete) {
    out = TRY(make_credentials(names));
    for (const File& file : files) TRY_VOID(write_private_file(directory + "/" + file.name, *file.text));
    return out;
  }
  // The server's names may differ from the last start.
  out.server = TRY(make_server_certificate(out.authority, names));
  return out;
}

}  // namespace carrick::apiserver
