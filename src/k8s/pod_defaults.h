#pragma once

#include "k8s/meta.h"

namespace carrick::k8s {

// The defaults of pkg/apis/core/v1/defaults.go for a pod spec; `spec` is that of a Pod or of a template.
void default_pod_spec(json::object& spec);
// What only a Pod itself gets, not a template: the rest of SetDefaults_Pod, the service account's name, phase and QoS
// class.
void default_pod(json::object& document);

}  // namespace carrick::k8s
