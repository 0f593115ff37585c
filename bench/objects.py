#!/usr/bin/env python3
"""Manifests for the benchmarks: `net SERVICES` (three pods, the tested Service 10.96.255.77, from two on also one that is reached from outside,
and others), `pods N`, `rolling` (a client, and a Deployment of ten pods behind 10.96.255.77)."""
import sys

POD = """apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeName: {node}
  containers: [{{name: main, image: bench, command: ["/bin/sleep", "86400"], ports: [{{containerPort: 7777}}]}}]
"""
TESTED = """apiVersion: v1
kind: Service
metadata: {name: tested}
spec:
  clusterIP: 10.96.255.77
  selector: {app: same}
  ports: [{name: http, port: 80, targetPort: 7777}, {name: echo, port: 80, protocol: UDP, targetPort: 7777}]
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {{name: s{i}}}
spec: {{selector: {{app: {app}}}, ports: [{{name: http, port: 80, targetPort: 7777}}]}}
"""
DOOR = """apiVersion: v1
kind: Service
metadata: {name: door}
spec: {type: LoadBalancer, selector: {app: other}, ports: [{name: http, port: 80, targetPort: 7777, nodePort: 30077}]}
"""
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: bench, ports: [{{containerPort: 8080}}]}}]}}
"""


def net(services):
    docs = [POD.format(name=name, node=node) for name, node in (("client", "node1"), ("same", "node1"), ("other", "node2"))]
    docs.append(TESTED)
    docs += [DOOR] if services > 1 else []
    docs += [SERVICE.format(i=i, app=("same", "other")[i % 2]) for i in range(services - 2)]
    return docs


def rolling():
    return [POD.format(name="client", node="node1"), DEPLOYMENT.format(name="web", replicas=10), """apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.255.77, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""]


def pods(count):
    full, rest = divmod(count, 50)
    sizes = [50] * full + ([rest] if rest else [])
    return [DEPLOYMENT.format(name=f"d{i}", replicas=size) for i, size in enumerate(sizes)]


def main():
    kinds = {"net": net, "pods": pods, "rolling": rolling}
    wanted, numbers = sys.argv[1:2], sys.argv[2:]
    if not wanted or wanted[0] not in kinds or len(numbers) != (wanted[0] != "rolling"):
        sys.exit(__doc__)
    print("---\n".join(kinds[wanted[0]](*map(int, numbers))))


main()
