#include "world.h"

#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>

#include "controllers/plan.h"
#include "k8s/objects.h"
#include "lab/connect.h"

namespace carrick::app {
namespace {

// Line of the clause, or of the nearest field around it that the file has.
std::string place_of(const controllers::Plan& plan, const desired::Owner& owner) {
  auto source = plan.sources.find({owner.kind, {owner.namespace_, owner.name}});
  if (source == plan.sources.end()) return {};
  int line = source->second.line;
  for (std::string field = owner.clause; !field.empty();) {
    if (auto found = source->second.lines.find(field); found != source->second.lines.end()) {
      line = found->second;
      break;
    }
    size_t cut = field.find_last_of(".[");
    field = cut == std::string::npos ? "" : field.substr(0, cut);
  }
  return fmt::format("{}:{}", source->second.file, line);
}

}  // namespace

Result<explain::World> load_world(const WorldSource& source, const std::string& command) {
  if (source.paths.empty()) {
    auto running = TRY(lab::find_running_lab(source.lab));
    k8s::Snapshot snapshot = TRY(lab::fetch_snapshot(source.lab));
    return explain::make_world(
        std::make_shared<k8s::Snapshot>(std::move(snapshot)),
        {.routing = running.record.config.vxlan ? desired::Routing::kVxlan : desired::Routing::kNative,
         .dsr = running.record.config.dsr});
  }
  auto objects = TRY(k8s::load_manifests(source.paths));
  controllers::PlanOptions options;
  options.nodes = source.nodes;
  options.ipv4 = source.ipv4;
  options.ipv6 = source.ipv6;
  auto plan = std::make_shared<controllers::Plan>(TRY(controllers::make_plan(objects, options)));
  for (const auto& problem : plan->problems) std::fprintf(stderr, "carrick %s: %s\n", command.c_str(), problem.c_str());
  explain::World world = explain::make_world(std::make_shared<k8s::Snapshot>(plan->snapshot));
  world.locate = [plan](const desired::Owner& owner) { return place_of(*plan, owner); };
  return world;
}

void add_world_options(CLI::App& command, WorldSource& source) {
  auto* lab = command.add_option("--lab", source.lab, "ask a running lab")->capture_default_str();
  command
      .add_option("-f,--filename", source.paths,
                  "manifests (files, folders, - for standard input): no lab, no root needed")
      ->excludes(lab);
  command.add_option("--nodes", source.nodes, "nodes that the plan of -f has")
      ->check(CLI::Range(1, 250))
      ->capture_default_str();
}

}  // namespace carrick::app
