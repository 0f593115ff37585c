#pragma once

#include <string_view>

namespace carrick::apiserver {

// What `kubectl explain` says of a type ("PodSpec"), and of one of its fields. Empty where nothing is written.
std::string_view doc_of_type(std::string_view type);
std::string_view doc_of_field(std::string_view type, std::string_view field);

}  // namespace carrick::apiserver
