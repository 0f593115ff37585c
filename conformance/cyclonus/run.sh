#!/usr/bin/env bash
# Cyclonus (version of go.mod), by its own code, against a lab: every case, every pair of its nine pods, TCP, UDP and SCTP.
#   run.sh [--carrick PATH] [--nodes N] [flags of main.go: --all, --only N, --destination pod-ip, ...]
# Ends in "N passed, N failed"; 77 = skipped, with why.
set -uo pipefail
. "$(dirname "$(readlink -f "$0")")/../suite.sh"
build cyclonus build
lab_up
# Its own log, a line a probe, is of no use here.
"$root/conformance/bin/cyclonus" --kubeconfig "$work/kubeconfig" "${flags[@]}" 2>"$work/log"
code=$?
[ $code = 0 ] || tail -5 "$work/log" >&2
exit $code
