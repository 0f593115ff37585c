#!/usr/bin/env python3
"""Manifests for the benchmarks: `net SERVICES` (three pods, the tested Service 10.96.255.77 and SERVICES others), `pods N`."""
import sys

POD = """apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeName: {node}
  containers: [{{name: main, image: bench, command: ["/bin/sleep", "86400"], ports: [{{containerPort: 7777}}]}}]
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{{ip}selector: {{app: {app}}}, ports: [{{name: http, port: 80, targetPort: 7777}}, {{name: echo, port: 80, protocol: UDP, targetPort: 7777}}]}}
"""
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: d{i}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: d{i}}}}}
  template:
    metadata: {{labels: {{app: d{i}}}}}
    spec: {{containers: [{{name: main, image: bench, ports: [{{containerPort: 8080}}]}}]}}
"""


def net(services):
    docs = [POD.format(name=name, node=node) for name, node in (("client", "node1"), ("same", "node1"), ("other", "node2"))]
    docs.append(SERVICE.format(name="tested", app="same", ip="clusterIP: 10.96.255.77, "))
    docs += [SERVICE.format(name=f"s{i}", app=("same", "other")[i % 2], ip="") for i in range(services - 1)]
    return docs


def pods(count):
    full, rest = divmod(count, 50)
    sizes = [50] * full + ([rest] if rest else [])
    return [DEPLOYMENT.format(i=i, replicas=size) for i, size in enumerate(sizes)]


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("net", "pods"):
        sys.exit(__doc__)
    print("---\n".join({"net": net, "pods": pods}[sys.argv[1]](int(sys.argv[2]))))


main()
