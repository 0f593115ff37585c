#!/usr/bin/env bash
# client-go (version of go.mod) against `carrick apiserver`: informers, leader election, the dynamic client.
#   run.sh [--carrick PATH] [flags of the test program: -test.run ..., -test.v]
# Ends in "N passed, N failed"; 77 = skipped, with why.
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
command -v go >/dev/null || { echo "needs go to build the clients"; exit 77; }
mkdir -p "$root/conformance/bin"
export GOTOOLCHAIN=local CGO_ENABLED=0
(cd "$here" && go test -c -trimpath -o "$root/conformance/bin/client-go.test" .) || { echo "client-go cannot be fetched or built"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
CARRICK=$(readlink -f "$carrick") "$root/conformance/bin/client-go.test" -test.v "${flags[@]}" >"$log" 2>&1
code=$?
[ $code = 0 ] || cat "$log"
grep -E '^--- ' "$log" | sed 's/^--- //'
echo "client-go: $(grep -cE '^--- PASS' "$log") passed, $(grep -cE '^--- FAIL' "$log") failed"
exit $code
