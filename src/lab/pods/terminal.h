#pragma once

#include <functional>

#include "base/fd.h"
#include "base/result.h"

namespace carrick::lab {

// The master of a new terminal of this mount namespace's /dev/pts.
Result<Fd> open_terminal();

// Runs a program in that terminal, and copies between it and the one that this process has as 0 and 1, whose size it
// follows: programs never get hold of the outer one. `become` executes the program, and gives an exit code when it
// cannot. Returns the program's exit code.
int run_in_terminal(Fd terminal, const std::function<int()>& become);

}  // namespace carrick::lab
