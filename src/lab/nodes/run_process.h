#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "lab/host/process.h"

namespace carrick::lab {

struct ProcessEnd {
  int exit_code = 0;  // 128 + signal when killed
  std::string output;
};

// Starts a program, feeds it `input`, collects its standard output (1 MiB at most). Killed at the deadline. `input`
// must fit into a pipe (64 KiB): it is written before the program reads.
void run_process(boost::asio::io_context& io, SpawnRequest request, const std::string& input,
                 std::chrono::milliseconds deadline, std::function<void(Result<ProcessEnd>)> done);

}  // namespace carrick::lab
