#!/usr/bin/env bash
# Builds the real agnhost (version of go.mod) as conformance/bin/agnhost, for run.sh. A first build takes minutes and about 3 GB of
# module and build cache.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
command -v go >/dev/null || { echo "agnhost: needs go (1.25 or newer) to be built" >&2; exit 3; }
CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -o ../bin/agnhost k8s.io/kubernetes/test/images/agnhost
