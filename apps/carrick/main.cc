#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdio>

#include "commands.h"
#include "lab/programs/programs.h"

namespace carrick::app {
int exit_code = 0;
}

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // In a container of a lab this file lies under the names of programs that images would hold.
  if (const auto program = argc > 0 ? carrick::lab::built_in_program(argv[0]) : nullptr)
    return program({argv, argv + argc});
  CLI::App app{"Carrick: the Kubernetes network in one program"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("carrick ") + CARRICK_VERSION);
  carrick::app::add_lab(app);
  carrick::app::add_explain(app);
  carrick::app::add_policy(app);
  carrick::app::add_probe(app);
  carrick::app::add_service(app);
  carrick::app::add_status(app);
  carrick::app::add_drops(app);
  carrick::app::add_doctor(app);
  carrick::app::add_agent(app);
  carrick::app::add_apiserver(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return carrick::app::exit_code;
}
