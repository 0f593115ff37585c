#!/usr/bin/env bash
# The conformance suite of network-policy-api (version of go.mod), by its own code, against a lab of two nodes.
#   run.sh [--carrick PATH] [--nodes N] [flags of the test program: -test.run ..., -test.v]
# Ends in "N passed, N failed" of the suite's cases; 77 = skipped, with why.
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/../suite.sh"
build network-policy-api.test test -c
definitions=$(cd "$here" && go list -m -f '{{.Dir}}' sigs.k8s.io/network-policy-api)/config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml

lab_up -f "$definitions"
KUBECONFIG=$work/kubeconfig "$root/conformance/bin/network-policy-api.test" -test.v -test.timeout 30m "${flags[@]}" >"$work/log" 2>&1
code=$?
cp "$work/log" "$root/conformance/bin/network-policy-api.log"
grep -E '^    --- ' "$work/log" | sed 's/^    --- //'
echo "network-policy-api: $(grep -cE '^    --- PASS' "$work/log") passed, $(grep -cE '^    --- FAIL' "$work/log") failed (all of what it said: conformance/bin/network-policy-api.log)"
exit $code
