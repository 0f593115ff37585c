#include "lab/host/files.h"

#include <filesystem>

namespace carrick::lab {

Result<void> remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return fail_errno(error.value(), path);
  return {};
}

}  // namespace carrick::lab
