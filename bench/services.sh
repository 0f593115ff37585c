#!/usr/bin/env bash
# ./dev bench services: the numbers of Services: first what they cost one agent (services_bench), then their packets, with a
# real kube-proxy beside (CARRICK_KUBE_PROXY, else built once by conformance/kube-proxy/build.sh). Needs root.
# bench/services.sh [--services N] [--rounds N] [--storm SECONDS] [--part all|agent|packets]
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
services=10000 rounds=8 storm=60 part=all
while [ $# -gt 1 ]; do
  case $1 in
    --services) services=$2 ;; --rounds) rounds=$2 ;; --storm) storm=$2 ;; --part) part=$2 ;;
    *) echo "bench/services.sh: unknown flag $1" >&2; exit 2 ;;
  esac
  shift 2
done
case $part in all|agent|packets) ;; *) echo "bench/services.sh: --part is all, agent or packets, not \"$part\"" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 3; }
carrick=$PWD/bin/carrick programs=$PWD/build/release/bin out=$PWD/build/bench name=bench-$$
proxy=${CARRICK_KUBE_PROXY:-$PWD/build/peers/kube-proxy}
mkdir -p "$out"
failed=0 children=()
echo "load average $(cut -d' ' -f1-3 /proc/loadavg)"
if [ "$part" != packets ]; then
  echo "== one agent: from the watch to the maps"
  "$programs/services_bench" --storm "$storm" --json "$out/services-agent.json" || failed=1
  [ "$part" = agent ] && exit $failed
  echo; echo "== packets, $services Services"
fi
[ -x "$proxy" ] || conformance/kube-proxy/build.sh || true
end() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; done
  "$carrick" lab down --name "$name" >/dev/null 2>&1
}
trap end EXIT

peers=()
for mode in nftables iptables; do
  if [ ! -x "$proxy" ]; then echo "no kube-proxy ($proxy): no peer's column"; break; fi
  command -v nft >/dev/null || { echo "no nft: apt-get install nftables iptables; no peer's column"; break; }
  rm -f "$out/$mode.json"; touch "$out/$mode.json"
  python3 bench/kube_proxy.py --kube-proxy "$proxy" --carrick "$carrick" --mode $mode --services "$services" --prefix "kp$$$mode" --until-terminated >"$out/$mode.json" &
  children+=($!)
  while [ ! -s "$out/$mode.json" ] && kill -0 "${children[-1]}" 2>/dev/null; do sleep 0.2; done
  read -r client server target seconds <<<"$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(d["client"], d["server"], d["target"], d["sync_seconds"])' "$out/$mode.json")"
  [ -n "${seconds:-}" ] || { echo "kube-proxy $mode did not come up"; failed=1; continue; }
  echo "kube-proxy $mode: $services Services from its start to the first connection: $seconds s"
  peers+=(--peer "kube-proxy $mode=$client,$server,$target")
done

manifest=$(mktemp)
python3 bench/objects.py net "$services" >"$manifest"
if "$carrick" lab up --name "$name" --nodes 2 -f "$manifest" -o json >"$out/services-up.json"; then
  "$programs/net_bench" --lab "$name" --client default/client --same default/same --other default/other --rounds "$rounds" \
    --service 10.96.255.77:80 --json "$out/services.json" "${peers[@]}" || failed=1
else
  echo "lab up failed: no packets measured"; failed=1
fi
rm -f "$manifest"
exit $failed
