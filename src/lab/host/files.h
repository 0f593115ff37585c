#pragma once

#include <string>

#include "base/file.h"

// Folders of a lab; small files are base/file.h's.
namespace carrick::lab {

// Never follows a mount or a link out of `path`; a path that is not there is success.
Result<void> remove_tree(const std::string& path);

}  // namespace carrick::lab
