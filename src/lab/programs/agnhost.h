#pragma once

#include <string>
#include <vector>

namespace carrick::lab {

std::string own_hostname();
int run_netexec(const std::vector<std::string>& words);

}  // namespace carrick::lab
