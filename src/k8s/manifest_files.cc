#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/encoding.h"
#include "base/fd.h"
#include "k8s/manifest.h"

namespace carrick::k8s {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> too_large(std::string_view shown_name) {
  return fail(ErrorKind::kInvalid, "{}: larger than 32 MiB, the limit of a manifest file", shown_name);
}

Result<std::string> read_all(int fd, std::string_view shown_name) {
  std::string text;
  while (true) {
    const size_t had = text.size();
    text.resize(had + (1u << 16));
    const ssize_t got = ::read(fd, text.data() + had, text.size() - had);
    if (got < 0 && errno != EINTR) return fail_errno(errno, fmt::format("read {}", shown_name));
    text.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (text.size() > kMaxManifestBytes) return too_large(shown_name);
    if (got == 0) return text;
  }
}

Result<std::string> read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(ErrorKind::kInvalid, "{}: {}", path, std::strerror(errno));
  struct stat status{};
  if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<size_t>(status.st_size) > kMaxManifestBytes)
    return too_large(path);
  return read_all(fd.get(), path);
}

bool is_manifest_name(const fs::path& path) {
  const std::string extension = path.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

Result<std::vector<std::string>> files_below(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && is_manifest_name(entry->path())) files.push_back(entry->path());
  }
  if (error) return fail(ErrorKind::kInvalid, "{}: {}", folder, error.message());
  if (files.empty()) return fail(ErrorKind::kInvalid, "{}: no *.yaml, *.yml or *.json file in this folder", folder);
  std::ranges::sort(files);
  return files;
}

}  // namespace

Result<void> check_text(std::string_view text, std::string_view shown_name) {
  if (text.size() > kMaxManifestBytes) return too_large(shown_name);
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    return fail(ErrorKind::kInvalid, "{}:1:1: the file is UTF-16; save it as UTF-8", shown_name);
  int line = 1, column = 1;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length(text.substr(i));
    const bool control = byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r';
    if (length == 0 || control || byte == 0x7F)
      return fail(ErrorKind::kInvalid, "{}:{}:{}: not a text file in UTF-8 (byte 0x{:02x})", shown_name, line, column,
                  byte);
    column = byte == '\n' ? 1 : column + 1;
    if (byte == '\n') ++line;
    i += length;
  }
  return {};
}

Result<std::vector<ManifestObject>> load_manifests(const std::vector<std::string>& paths) {
  std::vector<ManifestObject> objects;
  const auto add = [&](const Result<std::string>& text, const std::string& file) -> Result<void> {
    if (!text) return std::unexpected(text.error());
    for (ManifestObject& object : TRY(parse_documents(*text, file))) objects.push_back(std::move(object));
    return {};
  };
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (path == "-") {
      TRY_VOID(add(read_all(STDIN_FILENO, "standard input"), path));
    } else if (fs::is_directory(path, ignored)) {
      for (const std::string& file : TRY(files_below(path))) TRY_VOID(add(read_file(file), file));
    } else {
      TRY_VOID(add(read_file(path), path));
    }
  }
  return unite(std::move(objects));
}

}  // namespace carrick::k8s
