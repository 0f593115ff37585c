#!/usr/bin/env bash
# ./dev bench api: the API server alone: start, memory, writes, a list, watchers. bench/README.md says how to read it.
# bench/api.sh [--carrick PATH] [--program PATH] [api_bench's flags: --pods N --clients N --watchers N --rate N --seconds N]
# Another server in the same run: PEER_PORT, PEER_AUTHORITY and PEER_TOKEN_FILE name one that is already up, such as
# kube-apiserver with etcd; without them it is a skip that is said.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
carrick=bin/carrick program=build/release/bin/api_bench rest=()
while [ $# -gt 1 ]; do
  case $1 in
    --carrick) carrick=$2 ;; --program) program=$2 ;;
    *) rest+=("$1" "$2") ;;
  esac
  shift 2
done
[ -x "$carrick" ] && [ -x "$program" ] || { echo "bench api: no $carrick or $program: ./dev bench api builds them" >&2; exit 3; }
work=$(mktemp -d -p /dev/shm carrick-bench-api.XXXXXX) server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
failed=0
line() {  # WHAT VALUE UNIT REACH
  local verdict=PASS
  awk -v v="$2" -v r="$4" 'BEGIN{exit !(v <= r)}' || { verdict=FAIL; failed=1; }
  printf '%-44s %10.1f %-3s <= %-6s %s\n' "$1" "$2" "$3" "$4" "$verdict"
}
echo "load $(cut -d' ' -f1-3 /proc/loadavg) (times mean nothing above 1)"
# From fork to the first 200 of /readyz: the server is asked by connections until it answers.
python3 - "$carrick" "$work" > "$work/start" <<'PY' || { echo "bench api: the server did not start" >&2; exit 3; }
import os, ssl, subprocess, sys, time, http.client
carrick, work = sys.argv[1:]
os.mkdir(work + "/data")
context = ssl._create_unverified_context()
import socket
probe = socket.socket(); probe.bind(("127.0.0.1", 0)); port = probe.getsockname()[1]; probe.close()
begin = time.monotonic()
server = subprocess.Popen([carrick, "apiserver", "--port", str(port), "--data", work + "/data"], stderr=open(work + "/log", "w"))
while time.monotonic() - begin < 20:
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200: break
    except OSError:
        time.sleep(0.001)
else:
    server.kill(); sys.exit(1)
took = time.monotonic() - begin
memory = next(int(l.split()[1]) for l in open(f"/proc/{server.pid}/status") if l.startswith("VmRSS"))
print(server.pid, port, took * 1000, memory / 1024)
PY
read -r server port took memory < "$work/start"
line "start to /readyz" "$took" ms 50
line "memory at start (VmRSS)" "$memory" MiB 20
"$program" --port "$port" --authority "$work/data/ca.crt" --token-file "$work/data/admin.token" "${rest[@]}" || failed=1
awk '/VmRSS/ {printf "%-44s %10.1f MiB\n", "memory afterwards (VmRSS)", $2 / 1024}' "/proc/$server/status"
if [ -n "${PEER_PORT:-}" ]; then
  echo "the peer on port $PEER_PORT:"
  "$program" --port "$PEER_PORT" --authority "$PEER_AUTHORITY" --token-file "$PEER_TOKEN_FILE" "${rest[@]}" || failed=1
else
  echo "SKIPPED peer: PEER_PORT, PEER_AUTHORITY and PEER_TOKEN_FILE name none"
fi
exit $failed
