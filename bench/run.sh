#!/usr/bin/env bash
# ./dev bench: the numbers of issue 3 with their floors, on this machine, now. Needs root. bench/README.md says how to read them.
# bench/run.sh [--services N] [--rounds N] [--pods N] [--nodes N]      JSON of every part goes to build/bench/
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
services=10000 rounds=6 pods=1000 nodes=50
while [ $# -gt 1 ]; do
  case $1 in
    --services) services=$2 ;; --rounds) rounds=$2 ;; --pods) pods=$2 ;; --nodes) nodes=$2 ;;
    *) echo "bench/run.sh: unknown flag $1" >&2; exit 2 ;;
  esac
  shift 2
done
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 3; }
carrick=$PWD/bin/carrick cni=$PWD/bin/carrick-cni programs=$PWD/build/release/bin out=$PWD/build/bench name=bench-$$
mkdir -p "$out"
failed=0
trap '"$carrick" lab down --name "$name" >/dev/null 2>&1' EXIT

now() { date +%s.%N; }
# line WHAT VALUE UNIT REACH: prints, and counts a miss.
line() {
  local verdict=PASS
  awk -v v="$2" -v r="$4" 'BEGIN{exit !(v <= r)}' || { verdict=FAIL; failed=1; }
  printf '%-52s %10.2f %-3s  <= %-8s %s\n' "$1" "$2" "$3" "$4" "$verdict"
}
elapsed() { awk -v a="$1" -v b="$2" 'BEGIN{print b - a}'; }
# MiB of all the processes of a lab (PSS: what several share counts once) and of its BPF maps, which no process's figure holds.
in_all() {
  local init; init=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "/run/carrick/labs/$name/lab.json")
  python3 - $(pgrep --ns "$init" --nslist pid) <<'PY'
import os, sys
processes, maps = 0, {}
for pid in sys.argv[1:]:
    try:
        processes += sum(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
        for entry in os.listdir(f"/proc/{pid}/fdinfo"):
            facts = dict(line.split(":", 1) for line in open(f"/proc/{pid}/fdinfo/{entry}") if ":" in line)
            if "map_id" in facts:
                maps[facts["map_id"].strip()] = int(facts["memlock"])
    except FileNotFoundError:
        pass
print(processes / 1024 + sum(maps.values()) / 2**20)
PY
}
# MiB resident of the processes of a lab whose command line matches $1: the largest, and the sum.
resident() {
  local init pid kib largest=0 sum=0
  init=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "/run/carrick/labs/$name/lab.json")
  for pid in $(pgrep --ns "$init" --nslist pid); do
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -Eq "$1" || continue
    kib=$(awk '/^VmRSS/{print $2}' "/proc/$pid/status" 2>/dev/null || echo 0)
    sum=$((sum + ${kib:-0})); [ "${kib:-0}" -gt "$largest" ] && largest=$kib
  done
  awk -v l="$largest" -v s="$sum" 'BEGIN{print l / 1024, s / 1024}'
}

up_and_down() {  # NAME FILES... : seconds of up and down of an application
  local label=$1 start middle; shift
  local args=(); for f in "$@"; do args+=(-f "$f"); done
  start=$(now)
  "$carrick" lab up --name "$name" --nodes 3 "${args[@]}" -o json >"$out/up.json" || { echo "$label: lab up failed"; failed=1; }
  middle=$(now)
  line "lab up $label, 3 nodes" "$(elapsed "$start" "$middle")" s 3
  "$carrick" lab down --name "$name" >/dev/null
  line "lab down $label" "$(elapsed "$middle" "$(now)")" s 1
}

for app in online-boutique sock-shop; do
  [ -d "../shared/corpora/$app" ] && up_and_down "$app" "../shared/corpora/$app"
done
[ -d examples/shop ] && up_and_down "examples/shop" examples/shop

echo; echo "== packets and CNI: three pods without a program, $services Services"
manifest=$(mktemp)
python3 bench/objects.py net "$services" >"$manifest"
if "$carrick" lab up --name "$name" --nodes 2 -f "$manifest" -o json >"$out/net-up.json"; then
  arguments=(--lab "$name" --client default/client --same default/same --other default/other --rounds "$rounds" --json "$out/net.json" --service 10.96.255.77:80)
  "$programs/net_bench" "${arguments[@]}" || failed=1
  "$programs/cni_bench" --lab "$name" --node node1 --cni "$cni" --json "$out/cni.json" || failed=1
else
  echo "lab up failed: no packets measured"; failed=1
fi
"$carrick" lab down --name "$name" >/dev/null; rm -f "$manifest"

echo; echo "== DNS: one server that knows 10,000 Services"
"$programs/dns_bench" || failed=1

echo; echo "== size: agent at 100 pods; $pods pods on $nodes nodes"
python3 bench/objects.py pods 100 >"$out/pods.yaml"
if "$carrick" lab up --name "$name" --nodes 1 -f "$out/pods.yaml" -o json >"$out/100.json"; then
  read -r largest _ <<<"$(resident 'carrick.* agent( |$)')"
  line "agent resident memory at 100 pods" "$largest" MiB 25
else failed=1; fi
"$carrick" lab down --name "$name" >/dev/null
python3 bench/objects.py pods "$pods" >"$out/pods.yaml"
start=$(now)
if "$carrick" lab up --name "$name" --nodes "$nodes" -f "$out/pods.yaml" -o json >"$out/many.json"; then
  line "lab up, $pods pods on $nodes nodes" "$(elapsed "$start" "$(now)")" s 15
  line "memory of its processes (PSS) and BPF maps" "$(in_all)" MiB 1536
  start=$(now)
  if "$carrick" probe --lab "$name" --all -o json >"$out/probe.json" 2>"$out/probe.err"; then
    probes=$(sed -n 's/.*"probes":\([0-9]*\).*/\1/p' "$out/probe.json" | head -1)
    awk -v n="${probes:-0}" -v s="$(elapsed "$start" "$(now)")" 'BEGIN{printf "%-52s %10.0f /s   >= 10000    %s\n", "probe --all, handshakes", n / s, (n / s >= 10000) ? "PASS" : "FAIL"; exit (n / s < 10000)}' || failed=1
  else
    echo "probe --all failed ($(head -c 200 "$out/probe.err"))"; failed=1
  fi
else failed=1; fi
exit $failed
