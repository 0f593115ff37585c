#pragma once

#include <CLI/App.hpp>

// One function a subcommand group, each in cmd_<name>.cc. A command's callback sets `exit_code`:
// 0 done, 1 a negative answer (a disagreement, not ready), 2 bad call or input, 3 the machine lacks something.
namespace carrick::app {

extern int exit_code;

void add_agent(CLI::App& app);      // agent
void add_lab(CLI::App& app);        // lab up|down|list|kubeconfig|exec and its hidden processes
void add_policy(CLI::App& app);     // policy matrix|diff|check|lint
void add_probe(CLI::App& app);      // probe
void add_explain(CLI::App& app);    // explain
void add_service(CLI::App& app);    // service
void add_status(CLI::App& app);     // status
void add_drops(CLI::App& app);      // drops
void add_doctor(CLI::App& app);     // doctor
void add_apiserver(CLI::App& app);  // apiserver: the embedded API server alone (hidden; for its tests)

}  // namespace carrick::app
