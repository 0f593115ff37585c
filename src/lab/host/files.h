#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"

// Small files and folders of a lab.
namespace carrick::lab {

Result<std::string> read_file(const std::string& path);
// Written beside the target, then renamed: a reader sees the old or the new text, also after a kill.
Result<void> write_file(const std::string& path, std::string_view text, mode_t mode = 0600);
Result<void> make_dirs(const std::string& path, mode_t mode = 0755);
// Never follows a mount or a link out of `path`; a path that is not there is success.
Result<void> remove_tree(const std::string& path);

}  // namespace carrick::lab
