#!/usr/bin/env bash
# Builds the real kube-proxy (version of go.mod) as build/peers/kube-proxy, the peer of `./dev bench services`. Test tooling: nothing of
# it is linked by Carrick. A first build takes minutes and about 3 GB of module and build cache.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
command -v go >/dev/null || { echo "kube-proxy: needs go (1.25 or newer) to be built" >&2; exit 3; }
version=$(sed -nE 's/.*k8s.io\/kubernetes (v[0-9.]+).*/\1/p' go.mod | head -1)
export CGO_ENABLED=0 GOFLAGS=-mod=mod
stamp=k8s.io/component-base/version.gitVersion=$version
go build -trimpath -ldflags="-s -w -X $stamp -X k8s.io/client-go/pkg/version.gitVersion=$version" -o ../../build/peers/kube-proxy k8s.io/kubernetes/cmd/kube-proxy
echo "build/peers/kube-proxy: $version"
