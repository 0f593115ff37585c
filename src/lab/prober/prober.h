#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "explain/explain.h"
#include "lab/host/record.h"
#include "lab/pods/listening.h"
#include "lab/prober/engine.h"

// The third judge: what explain says of every cell of the truth table, held against real connections.
namespace carrick::lab {

struct ProbeOptions {
  explain::MatrixOptions matrix;
  std::chrono::milliseconds timeout{300};  // silence for so long is a deny
  // Where an answer is expected, silence is given this long a second time; so long programs are given to listen.
  std::chrono::milliseconds patience{3000};
};

struct ProbeReport {
  explain::Matrix matrix;
  std::vector<ProbeOutcome> outcomes;  // by cell
  std::vector<size_t> disagree;        // indexes of cells
  std::vector<SilentPort> silent;      // programs in pods that did not listen in time
  double seconds = 0;                  // of the probes alone
};

// kUnsupported when not root; kTransient when pods come or go meanwhile.
Result<ProbeReport> probe(const RunningLab& lab, const explain::World& world, const ProbeOptions& options);

// Whether what was observed is what explain expects; an answer by a pod that may not answer is never right.
bool agrees(const explain::Matrix& matrix, const explain::Cell& cell, const ProbeOutcome& outcome);

// {"probes","agree","disagree":[...],"cells":[...]} in pieces.
void write_json(const ProbeReport& report, const std::function<void(std::string_view)>& write);
// Sentences for the first `limit` disagreements.
std::vector<std::string> describe_disagreements(const ProbeReport& report, size_t limit);

}  // namespace carrick::lab
