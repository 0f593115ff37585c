#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace carrick {

// Whole file; kNotFound when it is absent.
Result<std::string> read_file(const std::string& path);

// Readers see the old content or the new, never a part: temp file in the same directory, then rename. Not flushed to
// disk.
Result<void> write_file_atomically(const std::string& path, std::string_view content, unsigned mode);

// The directory and every missing one above it, each made with `mode`; what exists is left as it is.
Result<void> make_directories(const std::string& path, unsigned mode);

}  // namespace carrick
