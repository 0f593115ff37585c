#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>

#include "base/text.h"
#include "commands.h"
#include "kernel/features.h"

namespace carrick::app {
namespace {

namespace json = boost::json;

void print_text(const std::vector<kernel::Feature>& features) {
  TextTable table({"FEATURE", "HERE", "NEEDED", "WITHOUT IT"});
  for (const auto& feature : features)
    table.add(
        {feature.name, feature.present ? "yes" : "no", feature.required ? "yes" : "no",
         feature.present ? "" : feature.consequence + (feature.detail.empty() ? "" : " (" + feature.detail + ")")});
  std::fputs(table.str().c_str(), stdout);
}

void print_json(const std::vector<kernel::Feature>& features, bool good) {
  json::array out;
  for (const auto& f : features)
    out.push_back({{"name", f.name},
                   {"present", f.present},
                   {"required", f.required},
                   {"probedBy", f.probed_by},
                   {"consequence", f.consequence},
                   {"detail", f.detail}});
  std::printf("%s\n", json::serialize(json::object{{"good", good}, {"features", std::move(out)}}).c_str());
}

void doctor(const std::string& output) {
  if (::geteuid() != 0) {
    std::fprintf(stderr,
                 "carrick doctor: the kernel is asked by trying, which needs root: try `sudo carrick doctor`\n");
    exit_code = 3;
    return;
  }
  auto features = kernel::probe_features();
  auto required = kernel::require_features(features);
  if (output == "json")
    print_json(features, required.has_value());
  else
    print_text(features);
  if (!required) {
    if (output != "json") std::printf("\n%s\n", required.error().message.c_str());
    exit_code = 3;
  }
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto output = std::make_shared<std::string>("text");
  auto* command = app.add_subcommand("doctor", "What this kernel and machine have and lack, and what follows from it");
  command->add_option("-o,--output", *output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->callback([output] { doctor(*output); });
}

}  // namespace carrick::app
