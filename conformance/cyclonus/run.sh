#!/usr/bin/env bash
# Cyclonus (version of go.mod), by its own code, against a lab: every case, every pair of its nine pods, TCP, UDP and SCTP.
#   run.sh [--carrick PATH] [--nodes N] [flags of main.go: --all, --only N, --destination pod-ip, ...]
# Ends in "N passed, N failed"; 77 = skipped, with why.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
carrick=$root/bin/carrick nodes=2 flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --carrick) carrick=$2; shift 2 ;;
    --nodes) nodes=$2; shift 2 ;;
    *) flags+=("$1"); shift ;;
  esac
done
[ -x "$carrick" ] || { echo "no $carrick: run ./dev build first" >&2; exit 3; }
[ "$(id -u)" = 0 ] || { echo "needs root: a lab"; exit 77; }
command -v go >/dev/null || { echo "needs go to build cyclonus"; exit 77; }
mkdir -p "$root/conformance/bin"
(cd "$here" && GOTOOLCHAIN=local CGO_ENABLED=0 go build -trimpath -o "$root/conformance/bin/cyclonus" .) || { echo "cyclonus cannot be fetched or built"; exit 77; }

lab=cyclonus-$$ work=$(mktemp -d)
trap '"$carrick" lab down --name "$lab" >/dev/null 2>&1; rm -rf "$work"' EXIT
"$carrick" lab up --name "$lab" --nodes "$nodes" --ip-family ipv4 --kubeconfig "$work/kubeconfig" >/dev/null || exit 1
# Its own log, a line a probe, is of no use here.
"$root/conformance/bin/cyclonus" --kubeconfig "$work/kubeconfig" "${flags[@]}" 2>"$work/log"
code=$?
[ $code = 0 ] || tail -5 "$work/log" >&2
exit $code
