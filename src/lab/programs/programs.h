#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/config.h"
#include "lab/pods/container_spec.h"

// Programs that well-known images hold, built in. A container of such an image has this program's own file under the
// program's path, and is told by that name which it is to be.
namespace carrick::lab {

struct ImageProgram {
  std::vector<std::string> entrypoint, default_args;
  std::vector<ContainerMount> files;
};
std::optional<ImageProgram> image_program(const LabConfig& config, std::string_view image);
// "registry.k8s.io/e2e-test-images/agnhost:2.43" -> "agnhost".
std::string_view image_name(std::string_view image);

// The program that this process has been started as; none when its name is no built-in's.
using BuiltIn = int (*)(const std::vector<std::string>& words);
BuiltIn built_in_program(std::string_view path);

// `words[0]` is its name, the others as a shell would give them. The exit code.
int run_agnhost(const std::vector<std::string>& words);
int run_echo_basic(const std::vector<std::string>& words);
int run_pause(const std::vector<std::string>& words);
int wait_for_end();  // until SIGTERM or SIGINT: which

}  // namespace carrick::lab
