# Sourced by run.sh of the suites that are Go modules. Sets here (the suite's folder), root, carrick, nodes and flags (what is left of the
# command line: for the suite's own program).
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
carrick=$root/bin/carrick nodes=2 flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --carrick) carrick=$2; shift 2 ;;
    --nodes) nodes=$2; shift 2 ;;
    *) flags+=("$1"); shift ;;
  esac
done
[ -x "$carrick" ] || { echo "no $carrick: run ./dev build first" >&2; exit 3; }
carrick=$(readlink -f "$carrick")
command -v go >/dev/null || { echo "needs go to build $(basename "$here")"; exit 77; }
mkdir -p "$root/conformance/bin"
export GOTOOLCHAIN=local CGO_ENABLED=0

# build GO-COMMAND...: its program becomes conformance/bin/NAME
build() {
  (cd "$here" && go "${@:2}" -trimpath -o "$root/conformance/bin/$1" .) || { echo "$(basename "$here") cannot be fetched or built"; exit 77; }
}

# lab_up [FLAG...]: a lab of IPv4 until the script ends; its kubeconfig is $work/kubeconfig
lab_up() {
  [ "$(id -u)" = 0 ] || { echo "needs root: a lab"; exit 77; }
  lab=$(basename "$here" | cut -c1-20)-$$ work=$(mktemp -d)
  trap '"$carrick" lab down --name "$lab" >/dev/null 2>&1; rm -rf "$work"' EXIT
  "$carrick" lab up --name "$lab" --nodes "$nodes" --ip-family ipv4 --kubeconfig "$work/kubeconfig" "$@" >/dev/null || exit 1
}
