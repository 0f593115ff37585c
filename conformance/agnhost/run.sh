#!/bin/bash
# The built-in agnhost and the real one, case by case: conformance/agnhost/run.sh [CARRICK [REAL_AGNHOST]]
# Both are asked the same on loopback; what they answer is compared. Exit 1 when it differs. The real one is built by build.sh.
set -u
here=$(dirname "$(readlink -f "$0")")
carrick=$(readlink -f "${1:-$here/../../bin/carrick}")
[ -x "$carrick" ] || { echo "no $carrick: run ./dev build first" >&2; exit 3; }
real=${2:-$here/../bin/agnhost}
[ -x "$real" ] || "$here/build.sh" || { echo "the real agnhost cannot be fetched or built"; exit 77; }
real=$(readlink -f "$real")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$carrick" "$work/agnhost"
ports=$(python3 -c 'import socket
s = [socket.socket() for _ in range(6)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])')
read -r tcp udp http exec_http exec_udp porter <<<"$ports"

# What is different each time, or is the wording of a library.
same() { tr -d '\r' | sed -E "s/(127\.0\.0\.1|\[::1\]|\[::ffff:127\.0\.0\.1\]):[0-9]+/CLIENT/g; /^[Dd]ate:/d; s/^NOW: .*/NOW/; s/^DNS: .*/DNS/; s/^REFUSED: .*/REFUSED/; s/(\"errors\":\[\").*(\"\])/\1ERROR\2/; /^Content-Length/d; s/^<a href.*/LINK/"; }
get() { echo "--- $*"; curl -s -m 5 -i "$@" | same; echo; }
datagram() {
  echo "--- udp $2"
  python3 - "$1" "$2" <<'P' | same
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.sendto(sys.argv[2].encode(), ("127.0.0.1", int(sys.argv[1])))
try:
    print(s.recv(2000).decode())
except TimeoutError:
    print("silence")
P
}
stream() {
  echo "--- tcp"
  python3 - "$1" <<'P'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 3)
print(s.makefile("rb").read())
P
}
connect() { echo "--- connect $*" | sed -E 's/:[0-9]{4,5}/:PORT/'; timeout 10 "$program" connect "$@" 2>&1 | same; echo "code ${PIPESTATUS[0]}"; }
listens() { for _ in $(seq 300); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.05; done; echo "nobody listens on $1"; }

cases() {
  program=$1
  "$program" serve-hostname --tcp --http=false --port "$tcp" >/dev/null 2>&1 & local all=$!
  "$program" serve-hostname --udp --http=false --port "$udp" >/dev/null 2>&1 & all+=" $!"
  "$program" serve-hostname --port "$http" >/dev/null 2>&1 & all+=" $!"
  "$program" netexec --http-port "$exec_http" --udp-port "$exec_udp" >/dev/null 2>&1 & all+=" $!"
  env "SERVE_PORT_$porter=hello" "$program" porter >/dev/null 2>&1 & all+=" $!"
  for port in "$tcp" "$http" "$exec_http" "$porter"; do listens "$port"; done
  stream "$tcp"; datagram "$udp" x
  for path in / /x; do get "http://127.0.0.1:$http$path"; done
  for path in /hostname /hostName /clientip '/echo?msg=a%20b' '/echo?msg=x&code=404' /healthz /readyz '/shell?cmd=echo+hi' \
    '/shell?cmd=exit+3' '/shell?cmd=echo+a;+echo+b+>%262' '/redirect?location=/echo%3Fmsg=foo&code=307' \
    "/dial?host=127.0.0.1&port=$exec_http&request=hostname&tries=2" \
    "/dial?host=127.0.0.1&port=$exec_udp&request=hostname&protocol=udp" '/dial?host=127.0.0.1&port=1&request=hostname' \
    '/header?key=X-A' /nosuch; do
    get -H 'X-A: b' "http://127.0.0.1:$exec_http$path"
  done
  for word in hostname 'echo hi there' clientip nonsense; do datagram "$exec_udp" "$word"; done
  for path in / /any; do get "http://127.0.0.1:$porter$path"; done
  connect "127.0.0.1:$tcp" --timeout=1s; connect 127.0.0.1:1 --timeout=1s; connect nosuch.invalid:80 --timeout=1s
  connect "127.0.0.1:$udp" --protocol=udp --timeout=1s; connect 127.0.0.1:1 --protocol=udp --timeout=1s
  connect --protocol=foo 127.0.0.1:1; connect 127.0.0.1; connect
  echo '--- entrypoint'; "$program" entrypoint-tester a b | sed "s#$program#PROGRAM#"
  echo '--- hosts'; "$program" etc-hosts
  kill -9 $all; wait $all 2>/dev/null  # serve-hostname would serve for another minute
}
cases "$real" >"$work/real"
cases "$work/agnhost" >"$work/ours"
if diff -u "$work/real" "$work/ours"; then
  echo "agnhost: $(grep -c '^---' "$work/real") cases, the same answers"
else
  exit 1
fi
