#pragma once

#include "k8s/resources.h"

// What single kinds get from the server on their way in, beyond defaults and validation.
namespace carrick::apiserver {

void prepare_new_pod(k8s::json::object& pod);               // status Pending, qosClass
void prepare_new_namespace(k8s::json::object& namespace_);  // name label, spec.finalizers, phase Active
void prepare_new_job(k8s::json::object& job);               // selector and labels by the controller's uid
std::string quality_of_service(const k8s::json::object& pod);

}  // namespace carrick::apiserver
