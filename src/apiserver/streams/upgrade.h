#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apiserver/request.h"
#include "apiserver/status.h"
#include "apiserver/streams/exec_dialect.h"
#include "apiserver/streams/forward_dialect.h"

// Which of its dialects a client and we speak (API-S5, API-S6).
namespace carrick::apiserver {

template <class Dialect>
struct Upgraded {
  std::vector<std::pair<std::string, std::string>> headers;  // of the 101 answer
  std::unique_ptr<Dialect> dialect;
};

StatusOr<Upgraded<ExecDialect>> upgrade_exec(const UpgradeOffer& offer, const ExecStreams& streams);
// `ports`: those that the query names; only the dialect of channels needs them.
StatusOr<Upgraded<ForwardDialect>> upgrade_forward(const UpgradeOffer& offer, const std::vector<uint16_t>& ports);

}  // namespace carrick::apiserver
