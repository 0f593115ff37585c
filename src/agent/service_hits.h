#pragma once

#include <boost/json/array.hpp>
#include <string>

#include "desired/desired.h"
#include "kernel/maps.h"

namespace carrick::agent {

// How often each endpoint of a Service was chosen on this node since the maps were made: a connection, or of UDP that
// is led by the socket hooks a datagram. [{"clause":"spec.ports[0]","address","port","hits"}], one for every endpoint
// and port of the Service that has some. service: "namespace/name".
Result<boost::json::array> service_hits(kernel::Map& hits, const desired::Tables& tables, const std::string& service);

}  // namespace carrick::agent
