#!/usr/bin/env bash
# How long a newcomer waits, and how long a change: `./dev build` of a fresh clone without ccache, and one changed .cc
# file to its room's test result. Exits 1 when a reach of issue 3 is missed.
set -euo pipefail
cd "$(dirname "$0")/.."
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q --shared . "$clone"
cd "$clone"
export CCACHE_DISABLE=1
failed=0

# line LABEL SECONDS AT_MOST
line() {
  awk -v label="$1" -v s="$2" -v most="$3" 'BEGIN{ok = s <= most; printf "%-52s %7.1f s    <= %-6d %s\n", label, s, most, ok ? "PASS" : "FAIL"; exit !ok}' || failed=1
}
seconds() { awk -v a="$1" -v b="$2" 'BEGIN{print b - a}'; }

echo "== build: $(nproc) cores, load average $(cut -d' ' -f1 /proc/loadavg)"
start=$EPOCHREALTIME
./dev build >/dev/null
line "./dev build from nothing" "$(seconds "$start" "$EPOCHREALTIME")" 360

cmake --preset debug >/dev/null
for change in desired:src/desired/compiler.cc apiserver:src/apiserver/http_server.cc; do
  room=${change%%:*} file=${change#*:}
  ninja -C build/debug -j "$(nproc)" "${room}_test" >/dev/null
  echo "// changed" >>"$file"
  start=$EPOCHREALTIME
  ninja -C build/debug -j "$(nproc)" "${room}_test" >/dev/null
  "build/debug/${room}_test" --gtest_brief=1 >/dev/null
  line "$file changed, ${room}_test run" "$(seconds "$start" "$EPOCHREALTIME")" 15
done
exit $failed
