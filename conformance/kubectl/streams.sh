# Sourced by run.sh: exec, cp, logs, attach and port-forward against a lab with streams.yaml. WebSocket or SPDY is the
# choice of each version (API-S5).
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# forwarded TARGET PORT: what GET / answers through a forwarded port.
forwarded() {
  local port; port=$(free_port)
  rm -f "$work/forward.log"
  k -n streams port-forward "$1" "$port:$2" >"$work/forward.log" 2>&1 &
  local forward=$! code
  for _ in $(seq 100); do grep -qs Forwarding "$work/forward.log" && break; sleep 0.1; done
  curl -sS -m 10 "http://127.0.0.1:$port/"; code=$?
  kill "$forward"; wait "$forward" 2>/dev/null
  cat "$work/forward.log"
  return $code
}
export -f forwarded free_port
export work
head -c 2000000 /dev/urandom > "$work/blob"

check exec-output '^web$' k -n streams exec web -- hostname
check exec-input '^hello$' bash -o pipefail -c 'echo hello | k -n streams exec -i web -- cat'
check exec-stderr '^oops$' bash -c 'k -n streams exec web -- sh -c "echo oops >&2" 2>&1 >/dev/null'
refuse exec-exit-code 'terminated with exit code 3' k -n streams exec web -- sh -c 'exit 3'
check exec-exit-code-is-given '^code 3$' bash -c 'k -n streams exec web -- sh -c "exit 3" 2>/dev/null; echo "code $?"'
check exec-words '^a b\|\$HOME\|$' k -n streams exec web -- printf '%s|' 'a b' '$HOME'
check exec-container-env '^blue$' k -n streams exec talker -c main -- sh -c 'echo $COLOUR'
check exec-its-own-network '10\.1\.' k -n streams exec web -- ip -4 addr show eth0
check exec-terminal '/dev/pts/[0-9]' script -qec "k -n streams exec -it web -- tty" /dev/null
check exec-megabytes '^2000000$' bash -o pipefail -c 'k -n streams exec web -- head -c 2000000 /dev/zero | wc -c'
check exec-child-that-stays '^started$' timeout 10 k -n streams exec web -- sh -c 'sleep 3 & echo started'
refuse exec-no-program 'exit code 127|not found|No such file' k -n streams exec web -- nosuchprogram
refuse exec-no-container 'container nope is not valid for pod web' k -n streams exec web -c nope -- true
refuse exec-no-pod 'pods "nope" not found' k -n streams exec nope -- true
check cp-there-and-back '^same$' bash -c 'k -n streams cp "$work/blob" "web:/tmp/there" && k -n streams cp web:/tmp/there "$work/back" >/dev/null 2>&1; cmp "$work/blob" "$work/back" && echo same; rm -f "$work/back"'

check logs '^one$' k -n streams logs talker -c main
check logs-tail '^1$' bash -o pipefail -c 'k -n streams logs talker -c main --tail=1 | wc -l'
check logs-stderr '^three$' k -n streams logs talker -c main
check logs-timestamps '^20[0-9-]+T[0-9:.]+Z one$' k -n streams logs talker -c main --timestamps
check logs-since '^tick$' k -n streams logs talker -c main --since=2s
check logs-bytes '^one$' k -n streams logs talker -c main --limit-bytes=4
check logs-follow '^tick$' bash -c 'timeout 2 k -n streams logs -f talker -c main --tail=1; true'
check logs-all-containers 'the responder of the lab plays container side' k -n streams logs talker --all-containers
check logs-default-container '^one$' k -n streams logs talker
refuse logs-previous 'previous terminated container' k -n streams logs talker -c main --previous
check attach '^tick$' bash -c 'timeout 2 k -n streams attach talker -c main 2>/dev/null; true'
check forward-pod '"pod":"web"' bash -c 'forwarded pod/web 80'
check forward-service '"pod":"web"' bash -c 'forwarded service/web 8080'
refuse forward-nobody-listens 'Connection refused|lost connection|an error occurred forwarding|Empty reply' bash -c 'forwarded pod/web 81'
