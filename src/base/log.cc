#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace carrick::log {
namespace {

spdlog::logger& logger() {
  static auto instance = [] {
    auto created = spdlog::stderr_color_mt("carrick");
    created->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    return created;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_level(Level level) { logger().set_level(to_spdlog(level)); }
void write(Level level, std::string_view text) { logger().log(to_spdlog(level), text); }

}  // namespace carrick::log
