#pragma once

#include <vector>

#include "apiserver/document.h"
#include "base/result.h"

namespace carrick::apiserver {

// CustomResourceDefinitions of kinds that Carrick itself holds: there from the start, as if they had been applied.
Result<std::vector<json::object>> standard_definitions();

}  // namespace carrick::apiserver
