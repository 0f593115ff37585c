#!/usr/bin/env bash
# client-go (version of go.mod) against `carrick apiserver`: informers, leader election, the dynamic client.
#   run.sh [--carrick PATH] [flags of the test program: -test.run ..., -test.v]
# Ends in "N passed, N failed"; 77 = skipped, with why.
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/../suite.sh"
build client-go.test test -c
log=$(mktemp)
trap 'rm -f "$log"' EXIT
CARRICK=$carrick "$root/conformance/bin/client-go.test" -test.v "${flags[@]}" >"$log" 2>&1
code=$?
[ $code = 0 ] || cat "$log"
grep -E '^--- ' "$log" | sed 's/^--- //'
echo "client-go: $(grep -cE '^--- PASS' "$log") passed, $(grep -cE '^--- FAIL' "$log") failed"
exit $code
