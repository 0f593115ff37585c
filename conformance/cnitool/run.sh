#!/usr/bin/env bash
# The CNI project's own cnitool (go.mod pins it) against bin/carrick-cni: its verbs, and what it finds in the pod.
# Everything happens in mount and network namespaces of its own. Ends in "N passed, N failed, N skipped"; 77 = skipped, with why.
#   run.sh [--plugin PATH] [--agent PATH]
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
plugin=$root/bin/carrick-cni agent=$root/build/debug/tests/cni_test_agent inside=
while [ $# -gt 0 ]; do
  case $1 in
    --plugin) plugin=$2; shift 2 ;;
    --agent) agent=$2; shift 2 ;;
    --inside) inside=1; shift ;;
    *) echo "usage: run.sh [--plugin PATH] [--agent PATH]" >&2; exit 2 ;;
  esac
done

if [ -z "$inside" ]; then
  [ "$(id -u)" = 0 ] || { echo "needs root: namespaces"; exit 77; }
  command -v go >/dev/null || { echo "needs go to build cnitool"; exit 77; }
  [ -x "$agent" ] || { (cd "$root" && cmake --preset debug && ninja -C build/debug cni_test_agent) >/dev/null || exit 1; }
  mkdir -p "$root/conformance/bin"
  (cd "$here" && GOTOOLCHAIN=local go build -o "$root/conformance/bin/cnitool" github.com/containernetworking/cni/cnitool) || { echo "cnitool cannot be fetched or built"; exit 77; }
  exec unshare --mount --net "$0" --inside --plugin "$(readlink -f "$plugin")" --agent "$(readlink -f "$agent")"
fi

# libcni keeps results in /var/lib/cni, ip(8) names namespaces in /run/netns: private ones.
mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir -p /run/net.d /run/bin || exit 1
ln -s "$plugin" /run/bin/carrick-cni
export CNI_PATH=/run/bin NETCONFPATH=/run/net.d
cnitool=$root/conformance/bin/cnitool
passed=0 failed=0

start_agent() {
  coproc AGENT { exec "$agent" /run/carrick/cni.sock /run/carrick/state /run/net.d 10.1.0.0/24 2001:db8:1::/64; }
  read -r -t 10 line <&"${AGENT[0]}" && [ "$line" = ready ] || { echo "the agent does not start"; exit 1; }
  agent_pid=$AGENT_PID
}
stop_agent() { kill "$agent_pid" && wait "$agent_pid" 2>/dev/null; }
trap 'stop_agent 2>/dev/null' EXIT

ok() {  # WHAT COMMAND... : must succeed
  local what=$1 out; shift
  if out=$("$@" 2>&1); then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $what: $out"; fi
}
refused() {  # WHAT TEXT COMMAND... : must fail and say TEXT
  local what=$1 text=$2 out; shift 2
  if ! out=$("$@" 2>&1) && grep -q "$text" <<<"$out"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $what: expected a refusal with \"$text\", got: $out"; fi
}
has() { ip -n "$1" addr show eth0 | grep "$2" >/dev/null; }
hasnt() { ! ip -n "$1" link show eth0 2>/dev/null; }
reaches() { ip -n "$1" route get 203.0.113.9 | grep "via 169.254.1.1 dev eth0 src $2" >/dev/null; }
host_ends() { [ "$(ip -o link show type veth | wc -l)" = "$1" ]; }

start_agent
for pod in a b c; do ip netns add $pod; done
ok "status" "$cnitool" status carrick /run/netns/a
ok "add" "$cnitool" add carrick /run/netns/a
ok "the pod has its IPv4 address" has a "10.1.0.2/32"
ok "the pod has its IPv6 address" has a "2001:db8:1::2/128"
ok "the pod has a way out" reaches a 10.1.0.2
ok "check" "$cnitool" check carrick /run/netns/a
refused "add again" "already" "$cnitool" add carrick /run/netns/a
ok "check after the refused add" has a "10.1.0.2/32"
export CAP_ARGS='{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}],"bandwidth":{"ingressRate":1000000,"ingressBurst":4294967295}}' CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;IP=10.1.0.50'
ok "add with capabilities and arguments" "$cnitool" add carrick /run/netns/b
unset CAP_ARGS CNI_ARGS
ok "the requested address" has b "10.1.0.50/32"
ok "check b" "$cnitool" check carrick /run/netns/b
ip -n b addr del 10.1.0.50/32 dev eth0
refused "check sees the lost address" "lost its address 10.1.0.50" "$cnitool" check carrick /run/netns/b
stop_agent
refused "status without an agent" "does not answer" "$cnitool" status carrick /run/netns/a
ok "del without an agent" "$cnitool" del carrick /run/netns/b
start_agent
ok "the queued release was worked off" bash -c 'for i in $(seq 200); do [ -z "$(ls /run/carrick/cni-spool)" ] && ! ip -n b link show eth0 2>/dev/null && exit 0; sleep 0.02; done; exit 1'
ok "check after a restart of the agent" "$cnitool" check carrick /run/netns/a
ok "add c" "$cnitool" add carrick /run/netns/c
ok "two host ends" host_ends 2
ok "gc without valid attachments frees all" "$cnitool" gc carrick /run/netns/a
ok "no host end is left" host_ends 0
ok "nothing in a" hasnt a
ok "add after gc" "$cnitool" add carrick /run/netns/a
ok "del" "$cnitool" del carrick /run/netns/a
ok "the link is gone" hasnt a
ok "del again" "$cnitool" del carrick /run/netns/a
ok "add for a namespace that vanishes" "$cnitool" add carrick /run/netns/c
ip netns del c
ok "del of a vanished namespace" "$cnitool" del carrick /run/netns/c
refused "add to an absent namespace" "netns" "$cnitool" add carrick /run/netns/absent
ok "no host end is left at the end" host_ends 0
ok "no record is left" bash -c '[ -z "$(ls /run/carrick/state/attachments)" ]'
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
