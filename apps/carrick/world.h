#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "explain/explain.h"

// Where the questions of a command are asked: of a running lab, or of the plan that manifests give.
namespace carrick::app {

struct WorldSource {
  std::string lab = "carrick";
  std::vector<std::string> paths;  // manifests; empty = ask the lab
  int nodes = 3;                   // of the plan
  bool ipv4 = true, ipv6 = true;   // of the plan
};

void add_world_options(CLI::App& command, WorldSource& source);

// Problems of the plan that are no reason to fail go to stderr under the command's name.
Result<explain::World> load_world(const WorldSource& source, const std::string& command);

}  // namespace carrick::app
