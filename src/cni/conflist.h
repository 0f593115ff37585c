#pragma once

#include <string>

#include "base/result.h"

namespace carrick::cni {

// The network configuration that runtimes find. It sorts first in the directory (CNI-R3).
inline constexpr const char* kConflistFile = "05-carrick.conflist";

struct ConflistOptions {
  std::string network = "carrick";
  std::string socket = "/run/carrick/cni.sock";
};

// cniVersion for old runtimes, cniVersions for those that choose (CNI-R16).
std::string conflist(const ConflistOptions& options);

// Temp file in the directory itself, then rename: containerd hears of writes and renames, not of creations (CNI-R4).
Result<void> install_conflist(const std::string& directory, const ConflistOptions& options);
Result<void> uninstall_conflist(const std::string& directory);  // missing is success: the node becomes NotReady

}  // namespace carrick::cni
