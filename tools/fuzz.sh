#!/usr/bin/env bash
# Runs every fuzz target of build/fuzz for $1 seconds on its corpus. Findings are left in fuzz/findings/.
set -euo pipefail
seconds=$1 failed=0
mkdir -p fuzz/findings
for target in build/fuzz/fuzz/*_fuzz; do
  name=$(basename "$target" _fuzz)
  mkdir -p "build/fuzz/corpus/$name"
  echo "fuzz $name, $seconds s"
  "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=0 -verbosity=0 \
    -artifact_prefix="fuzz/findings/$name-" "build/fuzz/corpus/$name" "fuzz/corpus/$name" || failed=1
done
exit $failed
