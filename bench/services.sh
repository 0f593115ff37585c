#!/usr/bin/env bash
# ./dev bench services: the numbers of Services: what they cost one agent (services_bench), their packets, inside and from outside, with a
# real kube-proxy beside (CARRICK_KUBE_PROXY, else built once by conformance/kube-proxy/build.sh), and rolling updates under load. Needs root.
# bench/services.sh [--part all|agent|packets|flat|rolling] [--services N] [--flat N,N..] [--rounds N] [--storm SECONDS] [--rate N] [--updates N]
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
services=10000 flat=1,50000 rounds=8 storm=60 rate=2000 updates=5 part=all
while [ $# -gt 1 ]; do
  case $1 in
    --services) services=$2 ;; --flat) flat=$2 ;; --rounds) rounds=$2 ;; --storm) storm=$2 ;; --rate) rate=$2 ;; --updates) updates=$2 ;; --part) part=$2 ;;
    *) echo "bench/services.sh: unknown flag $1" >&2; exit 2 ;;
  esac
  shift 2
done
[ $# = 0 ] || { echo "bench/services.sh: $1 needs a value" >&2; exit 2; }
for number in "$services" "$rounds" "$storm" "$rate" "$updates" ${flat//,/ }; do
  case $number in ''|*[!0-9]*|0) echo "bench/services.sh: \"$number\" is not a number above 0" >&2; exit 2 ;; esac
done
case $part in all|agent|packets|flat|rolling) ;; *) echo "bench/services.sh: --part is all, agent, packets, flat or rolling, not \"$part\"" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 3; }
carrick=${CARRICK:-$PWD/bin/carrick} programs=${CARRICK_BENCH_PROGRAMS:-$PWD/build/release/bin} out=$PWD/build/bench name=bench-$$
proxy=${CARRICK_KUBE_PROXY:-$PWD/build/peers/kube-proxy}
mkdir -p "$out"
failed=0 children=() peers=()
manifest=$(mktemp)
end() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; done
  "$carrick" lab down --name "$name" >/dev/null 2>&1
  rm -f "$manifest"
}
trap end EXIT
trap 'exit 143' TERM INT
wanted() { [ "$part" = all ] || [ "$part" = "$1" ]; }

# up MANIFEST-WORDS...: a lab of two nodes with the objects
up() {
  python3 bench/objects.py "$@" >"$manifest"
  "$carrick" lab up --name "$name" --nodes 2 --full-maps --timeout 1200 -f "$manifest" -o json >"$out/services-up.json" && return
  echo "lab up failed ($*): $(head -c 600 "$out/services-up.json")"
  failed=1; down; return 1
}
down() { "$carrick" lab down --name "$name" >/dev/null 2>&1; }

# peer MODE PATH-NAMES [FLAG]: a kube-proxy, and a path for each of its targets
peer() {
  local file="$out/kube-proxy-$1$3.json" line
  rm -f "$file"; touch "$file"
  python3 bench/kube_proxy.py --kube-proxy "$proxy" --carrick "$carrick" --mode "$1" --services "$services" --prefix "kp$$$1$3" $3 --until-terminated >"$file" &
  children+=($!)
  while [ ! -s "$file" ] && kill -0 "${children[-1]}" 2>/dev/null; do sleep 0.2; done
  [ -s "$file" ] || { echo "kube-proxy $1 $3 did not come up"; failed=1; return; }
  while read -r line; do peers+=(--peer "$line"); done < <(python3 - "$file" "$2" <<'PY'
import json, sys
one = json.load(open(sys.argv[1]))
for name, target in zip(sys.argv[2].split(","), one["targets"]):
    print(f'{name}={one["client"]},{one["server"]},{target}')
PY
)
  echo "kube-proxy $1 $3: $services Services from its start to the first connection: $(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["sync_seconds"])' "$file") s"
}

net() { "$programs/net_bench" --lab "$name" --client default/client --same default/same --other default/other --service 10.96.255.77:80 --rounds "$rounds" "$@" || failed=1; }

echo "load average $(cut -d' ' -f1-3 /proc/loadavg)"
if wanted agent; then
  echo "== one agent: from the watch to the maps"
  "$programs/services_bench" --storm "$storm" --json "$out/services-agent.json" || failed=1
fi
if wanted packets; then
  echo; echo "== packets, $services Services"
  [ -x "$proxy" ] || conformance/kube-proxy/build.sh || true
  if [ ! -x "$proxy" ]; then echo "no kube-proxy ($proxy): no peer's column"
  elif ! command -v nft >/dev/null; then echo "no nft: apt-get install nftables iptables; no peer's column"
  else
    peer nftables "kube-proxy nftables" ""
    peer iptables "kube-proxy iptables" ""
    peer nftables "kube-proxy nftables NodePort,kube-proxy nftables load balancer" --outside
  fi
  up net "$services" && net --node-port 192.0.2.11:30077 --load-balancer 198.51.100.77:80 --json "$out/services.json" "${peers[@]}"
  down
  for child in "${children[@]}"; do kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; done
  children=()
fi
if wanted flat; then
  for count in ${flat//,/ }; do
    echo; echo "== ClusterIP, $count Services"
    up net "$count" && net --paths "pod same node,ClusterIP" --json "$out/services-flat-$count.json"
    down
  done
fi
if wanted rolling; then
  echo; echo "== $updates rolling updates of 10 pods, $rate new connections a second"
  up rolling && { "$programs/rolling_bench" --lab "$name" --client default/client --deployment web --target 10.96.255.77:80 --rate "$rate" --rounds "$updates" --json "$out/services-rolling.json" || failed=1; }
  down
fi
exit $failed
