#include "lab/programs/programs.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace carrick::lab {
namespace {

struct Known {
  std::string_view name, path, default_arg;
  BuiltIn run;
  std::string_view folder = "";  // what its image's name has before it, where others have images of the same name
};
constexpr std::array kKnown = {
    Known{"agnhost", "/agnhost", "pause", run_agnhost},
    Known{"echo-basic", "/echo-basic", "", run_echo_basic},
    Known{"echoserver", "/echoserver", "", run_echo_basic, "ingressconformance/"},
    Known{"pause", "/pause", "", run_pause},
};

bool is_image_of(const Known& known, std::string_view image) {
  return image_name(image) == known.name && image.find(known.folder) != std::string_view::npos;
}

std::string_view without_version(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const size_t colon = image.rfind(':');
  // A colon before the last slash is a registry's port.
  if (colon != std::string_view::npos && image.find('/', colon) == std::string_view::npos)
    image = image.substr(0, colon);
  return image;
}

}  // namespace

std::string_view image_name(std::string_view image) {
  image = without_version(image);
  const size_t slash = image.rfind('/');
  return slash == std::string_view::npos ? image : image.substr(slash + 1);
}

std::optional<ImageProgram> image_program(const LabConfig& config, std::string_view image) {
  // The user's come before what is built in. They are named as the manifest has them, or shorter.
  for (const auto& [name, path] : config.images)
    if (name == image || name == without_version(image) || name == image_name(image))
      return ImageProgram{.entrypoint = {path}, .default_args = {}, .files = {{path, "", path, true}}};
  const auto* known = std::ranges::find_if(kKnown, [&](const Known& one) { return is_image_of(one, image); });
  if (known == kKnown.end()) return std::nullopt;
  ImageProgram out{.entrypoint = {std::string(known->path)},
                   .default_args = {},
                   .files = {{LabPaths{config.name, ""}.program(), "", std::string(known->path), true}}};
  if (!known->default_arg.empty()) out.default_args.emplace_back(known->default_arg);
  return out;
}

BuiltIn built_in_program(std::string_view path) {
  const auto* known = std::ranges::find(kKnown, path.substr(path.rfind('/') + 1), &Known::name);
  return known == kKnown.end() ? nullptr : known->run;
}

int wait_for_end() {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&ends, signal);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  int signal = 0;
  ::sigwait(&ends, &signal);
  return signal;
}

int run_pause(const std::vector<std::string>&) {
  (void)wait_for_end();
  return 0;
}

}  // namespace carrick::lab
