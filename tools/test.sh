#!/usr/bin/env bash
# All tests, level by level; the sum over all levels is the last line. Every level prints what failed and what was skipped and why.
set -uo pipefail
passed=0 failed=0 skipped=0
levels=${*:-house unit sanitize packets scenarios fuzz lab}
jobs=$(nproc)
export LC_ALL=C
rows=$(mktemp)  # outcomes of tests named after a row of the Service rules
trap 'rm -f "$rows"' EXIT

count() { passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3)); }

# build PRESET TARGET... : a build that fails is one failed test
build() {
  local preset=$1; shift
  if ! { cmake --preset "$preset" >/dev/null && ninja -C "build/$preset" -j "$jobs" "$@" >"build/$preset/build.log" 2>&1; }; then
    echo "FAILED to build $preset"; grep -E "error|FAILED" -A5 "build/$preset/build.log" 2>/dev/null | head -40
    count 0 1 0; return 1
  fi
}

# gtest PROGRAM : runs a GoogleTest program, adds its numbers, shows failures and skips
gtest() {
  local program=$1 log; log=$(mktemp)
  [ -x "$program" ] || { echo "FAILED: $program was not built"; count 0 1 0; return; }
  timeout 900 "$program" --gtest_brief=0 >"$log" 2>&1; local code=$?
  local p s f
  p=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?\..*/\1/p' "$log" | tail -1); p=${p:-0}
  s=$(sed -nE 's/^\[  SKIPPED \] ([0-9]+) tests?.*/\1/p' "$log" | tail -1); s=${s:-0}
  f=$(sed -nE 's/^\[  FAILED  \] ([0-9]+) tests?.*/\1/p' "$log" | tail -1); f=${f:-0}
  if [ $code -ne 0 ] && [ "$f" = 0 ]; then f=1; echo "$program ended with $code"; tail -30 "$log"; fi
  [ $((p + f + s)) -eq 0 ] && { echo "FAILED: $program ran no test"; f=1; }
  [ "$f" != 0 ] && grep -E -B25 '^\[  FAILED  \] [A-Za-z_0-9]+[./]' "$log" | head -150
  [ "$s" != 0 ] && grep -E -B3 '^\[  SKIPPED \] .*\(' "$log"
  grep -E '^\[ +\] .* expectations judged' "$log"
  sed -nE 's/^\[  *(OK|FAILED|SKIPPED) *\] (.*SVC_[AD][0-9].*) \([0-9]+ ms\)$/\1 \2/p' "$log" | sed 's/^OK/ok/; s/^FAILED/failed/; s/^SKIPPED/skipped/' >>"$rows"
  printf '%-28s %5d passed %3d failed %3d skipped\n' "$(basename "$program")" "$p" "$f" "$s"
  count "$p" "$f" "$s"; rm -f "$log"
}

# script NAME COMMAND... : one test that is a program of its own; 77 = skipped, its last line says why
script() {
  local name=$1; shift
  local log; log=$(mktemp)
  timeout 900 "$@" >"$log" 2>&1; local code=$?
  case $code in
    0) count 1 0 0; printf '%-28s ok\n' "$name" ;;
    77) count 0 0 1; printf '%-28s SKIPPED: %s\n' "$name" "$(tail -1 "$log")" ;;
    *) count 0 1 0; printf '%-28s FAILED (%d)\n' "$name" "$code"; tail -40 "$log" ;;
  esac
  rm -f "$log"
}

unit_programs() { ls "build/$1"/*_test 2>/dev/null; }

for level in $levels; do
  echo "== $level"
  case $level in
    house) script check_edges python3 tools/check_edges.py; script service_ids python3 tools/service_ids.py; script policy_ids python3 tools/policy_ids.py ;;
    unit) build debug && for t in $(unit_programs debug); do gtest "$t"; done ;;
    packets) build debug packets_tests packet_judge_tests && for t in packets_tests packet_judge_tests; do gtest "build/debug/tests/$t"; done ;;
    scenarios) build debug scenarios_tests && gtest build/debug/tests/scenarios_tests ;;
    fuzz) build debug && for t in build/debug/tests/fuzz_replay_*; do [ -x "$t" ] && script "$(basename "$t")" "$t"; done ;;
    sanitize)
      # Address and undefined behaviour over the pure rooms, the API server and scenarios; threads over what has threads.
      rooms="base_test net_test k8s_test desired_test explain_test controllers_test reconcile_test dns_test ipam_test apiserver_test scenarios_tests"
      build asan $rooms && for t in $rooms; do [ -x "build/asan/$t" ] && gtest "build/asan/$t" || gtest "build/asan/tests/$t"; done
      threads="base_test dns_test cni_test apiserver_test"
      build tsan $threads && for t in $threads; do gtest "build/tsan/$t"; done ;;
    lab) ./dev build && build debug cluster_tests && gtest build/debug/tests/cluster_tests ;;  # the tests run the debug programs
    *) echo "no level \"$level\""; exit 2 ;;
  esac
done
[ -s "$rows" ] && python3 tools/service_ids.py "$rows"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
