#!/usr/bin/env bash
# The conformance suite of network-policy-api (version of go.mod), by its own code, against a lab of two nodes.
#   run.sh [--carrick PATH] [flags of the test program: -test.run ..., -test.v]
# Ends in "N passed, N failed" of the suite's cases; 77 = skipped, with why.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
carrick=$root/bin/carrick flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --carrick) carrick=$2; shift 2 ;;
    *) flags+=("$1"); shift ;;
  esac
done
[ -x "$carrick" ] || { echo "no $carrick: run ./dev build first" >&2; exit 3; }
[ "$(id -u)" = 0 ] || { echo "needs root: a lab"; exit 77; }
command -v go >/dev/null || { echo "needs go to build the suite"; exit 77; }
mkdir -p "$root/conformance/bin"
export GOTOOLCHAIN=local CGO_ENABLED=0
(cd "$here" && go test -c -trimpath -o "$root/conformance/bin/network-policy-api.test" . ) || { echo "the suite cannot be fetched or built"; exit 77; }
definitions=$(cd "$here" && go list -m -f '{{.Dir}}' sigs.k8s.io/network-policy-api)/config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml

lab=npa-$$ work=$(mktemp -d)
trap '"$carrick" lab down --name "$lab" >/dev/null 2>&1; rm -rf "$work"' EXIT
"$carrick" lab up --name "$lab" --nodes 2 --ip-family ipv4 --kubeconfig "$work/kubeconfig" -f "$definitions" >/dev/null || exit 1
KUBECONFIG=$work/kubeconfig "$root/conformance/bin/network-policy-api.test" -test.v -test.timeout 30m "${flags[@]}" >"$work/log" 2>&1
code=$?
cp "$work/log" "$root/conformance/bin/network-policy-api.log"
grep -E '^    --- ' "$work/log" | sed 's/^    --- //'
echo "network-policy-api: $(grep -cE '^    --- PASS' "$work/log") passed, $(grep -cE '^    --- FAIL' "$work/log") failed (all of what it said: conformance/bin/network-policy-api.log)"
exit $code
