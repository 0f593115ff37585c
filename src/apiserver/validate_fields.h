#pragma once

#include "apiserver/api.h"

// What the writing verbs have in common.
namespace carrick::apiserver {

// What to do about fields that are given twice or that the kind does not have (fieldValidation=Strict|Warn|Ignore).
// Warnings go into the headers of `response`. `stored`: what was accepted before is not at fault now.
// `custom`: what is known of the kind when a definition made it.
StatusOr<> validate_fields(const Query& query, const k8s::ResourceType& type, const CustomKind* custom,
                           const Body& body, Response& response, const json::object* stored = nullptr);

// The part of the object that a path may change.
Part part_of(const Route& route);

// Who writes: the query's fieldManager, else the client's program.
std::string manager_of(const Request& request);

}  // namespace carrick::apiserver
