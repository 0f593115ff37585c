#pragma once

#include <boost/json.hpp>
#include <functional>

#include "k8s/core.h"
#include "lab/pods/pod_material.h"
#include "watch/watch.h"

namespace carrick::lab {

struct PodDocument {
  boost::json::object pod;
  Material material;  // without what is not the API server's to know
};

// The pod as it is stored now, and all that it refers to. What is not there is missing in the answer; an API server
// that does not answer is an error.
void fetch_material(watch::Client& client, const k8s::NamespacedName& pod,
                    std::function<void(Result<PodDocument>)> done);

}  // namespace carrick::lab
