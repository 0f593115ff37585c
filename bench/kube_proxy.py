#!/usr/bin/env python3
"""A real kube-proxy as a peer: three network namespaces (client, node, server), plain routing through the node, in the node Carrick's API
server with N Services of one endpoint each and kube-proxy, which programs its netfilter rules there. With --outside five: client, fabric and
two nodes, each with a kube-proxy and an API server of equal objects, the server at the second; the client comes in by a NodePort and a load
balancer's address of the first, as in a lab.

kube_proxy.py --kube-proxy FILE --carrick FILE --mode nftables|iptables --services N --prefix NAME [--outside]
Prints one JSON line {"client","server","targets":[IP:PORT..],"sync_seconds"} when connections through the tested Service work, then waits for
the end of standard input, or SIGTERM, and takes everything down. Needs root, nft or iptables. Only processes started here are ended, by pid.
"""
import argparse
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time

CLIENT, SERVER, TESTED = "10.9.1.2", "10.9.2.2", "10.96.255.77"
NODES = {"node": "192.0.2.11", "other": "192.0.2.12"}
OUTSIDE_CLIENT, NODE_PORT, BALANCER = "203.0.113.2", 30077, "198.51.100.77"
GATEWAY = "169.254.1.1"
PORT = 7777


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Peer:
    """One node between client and server, which ask the ClusterIP."""
    parts, nodes, targets = ("client", "node", "server"), ("node",), ((TESTED, 80),)

    def __init__(self, flags):
        self.flags, self.children = flags, []
        self.names = {part: f"{flags.prefix}-{part}" for part in self.parts}
        self.folder = tempfile.TemporaryDirectory(prefix=flags.prefix)

    def inside(self, part, *words):
        sh("ip", "netns", "exec", self.names[part], *words)

    def start(self, part, log, *words):
        with open(self.log(log, part), "w") as out:
            # Not by `ip netns exec`: its child would be another pid than ours.
            child = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.names[part]}", *words], stdout=out, stderr=out)
        self.children.append(child)
        return child

    def log(self, log, part):
        return f"{self.folder.name}/{log}-{part}.log"

    def cable(self, part, router, link, address):
        """`part` has the address and everything by the router, whose end is called `link`. No ARP is spoken."""
        name, hub = self.names[part], self.names[router]
        sh("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", link, "netns", hub)
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        sh("ip", "-n", hub, "link", "set", link, "up")
        sh("ip", "-n", name, "addr", "add", f"{address}/32", "dev", "eth0")
        sh("ip", "-n", name, "route", "add", GATEWAY, "dev", "eth0", "scope", "link")
        sh("ip", "-n", name, "route", "add", "default", "via", GATEWAY, "dev", "eth0")
        mac = json.loads(subprocess.check_output(["ip", "-j", "-n", hub, "link", "show", link]))[0]["address"]
        sh("ip", "-n", name, "neigh", "add", GATEWAY, "lladdr", mac, "dev", "eth0", "nud", "permanent")
        mac = json.loads(subprocess.check_output(["ip", "-j", "-n", name, "link", "show", "eth0"]))[0]["address"]
        sh("ip", "-n", hub, "route", "add", f"{address}/32", "dev", link)
        sh("ip", "-n", hub, "neigh", "add", address, "lladdr", mac, "dev", link, "nud", "permanent")

    def forward(self, *parts):
        for part in parts:
            self.inside(part, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def build(self):
        for name in self.names.values():
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
        self.connect()

    def connect(self):
        self.cable("client", "node", "client", CLIENT)
        self.cable("server", "node", "server", SERVER)
        sh("ip", "-n", self.names["node"], "addr", "add", f"{NODES['node']}/32", "dev", "lo")
        self.forward("node")

    def serve(self, node):
        kubeconfig = f"{self.folder.name}/kubeconfig-{node}"
        self.start(node, "apiserver", self.flags.carrick, "apiserver", "--port", "6443", "--kubeconfig", kubeconfig)
        deadline = time.monotonic() + 20
        while not os.path.exists(kubeconfig):
            if time.monotonic() > deadline:
                raise RuntimeError("the API server did not start: " + open(self.log("apiserver", node)).read()[-400:])
            time.sleep(0.02)
        words = [sys.executable, os.path.abspath(__file__), "--fill", kubeconfig, "--services", str(self.flags.services)]
        self.inside(node, *words, *(["--outside"] if self.flags.outside else []))
        return kubeconfig

    def start_proxies(self, kubeconfigs):
        server = self.start("server", "server", sys.executable, "-c",
                            f"import socket\ns = socket.create_server(('', {PORT}))\nwhile True: s.accept()[0].close()")
        began = time.monotonic()
        proxies = [self.start(node, "kube-proxy", self.flags.kube_proxy, f"--kubeconfig={kubeconfigs[node]}",
                              f"--proxy-mode={self.flags.mode}", f"--hostname-override={node}", "--cluster-cidr=10.9.0.0/16",
                              "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s",
                              "--conntrack-tcp-timeout-close-wait=0s") for node in self.nodes]
        deadline = began + 900
        probe = "import socket\n" + "".join(f"socket.create_connection({target}, timeout=0.3)\n" for target in self.targets)
        while subprocess.run(["nsenter", f"--net=/run/netns/{self.names['client']}", sys.executable, "-c", probe],
                             stderr=subprocess.DEVNULL).returncode:
            if any(proxy.poll() is not None for proxy in proxies) or time.monotonic() > deadline:
                raise RuntimeError("kube-proxy: " + "".join(open(self.log("kube-proxy", node)).read()[-800:] for node in self.nodes))
        seconds = time.monotonic() - began
        server.kill()
        server.wait()
        return seconds

    def end(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        self.folder.cleanup()


class OutsidePeer(Peer):
    """Client, fabric, first node, fabric, second node, server."""
    parts, nodes = ("client", "fabric", "node", "other", "server"), ("node", "other")
    targets = ((NODES["node"], NODE_PORT), (BALANCER, 80))

    def connect(self):
        self.cable("client", "fabric", "client", OUTSIDE_CLIENT)
        self.cable("node", "fabric", "node", NODES["node"])
        self.cable("other", "fabric", "other", NODES["other"])
        self.cable("server", "other", "server", SERVER)
        for address, node in ((SERVER, "other"), (BALANCER, "node")):
            sh("ip", "-n", self.names["fabric"], "route", "add", f"{address}/32", "via", NODES[node], "dev", node, "onlink")
        self.forward("fabric", "node", "other")


def objects(count, outside):
    """(path, object) of the Nodes, the tested Service and count - 1 others, each with an EndpointSlice of its own."""
    for i, (name, address) in enumerate(NODES.items()):
        yield "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"podCIDRs": [f"10.9.{i + 1}.0/24"]},
                                "status": {"addresses": [{"type": "InternalIP", "address": address}]}}
    for i in range(count):
        name, spec = (f"s{i}", {}) if i else ("tested", {"clusterIP": TESTED})
        spec["ports"] = [{"name": "http", "port": 80, "targetPort": PORT}]
        if outside and not i:
            spec["type"], spec["ports"][0]["nodePort"] = "LoadBalancer", NODE_PORT
        yield "/api/v1/namespaces/default/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        yield "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [SERVER], "conditions": {"ready": True}, "nodeName": "other" if outside else "node"}]}


def fill(kubeconfig, count, outside):
    """Run in the node's namespace: writes every object over one connection."""
    import base64
    import re
    text = open(kubeconfig).read()
    pem = {key: base64.b64decode(re.search(key + r": (\S+)", text).group(1)) for key in
           ("certificate-authority-data", "client-certificate-data", "client-key-data")}
    with tempfile.NamedTemporaryFile() as both:
        both.write(pem["client-certificate-data"] + pem["client-key-data"])
        both.flush()
        context = ssl.create_default_context(cadata=pem["certificate-authority-data"].decode())
        context.load_cert_chain(both.name)
    connection = http.client.HTTPSConnection("127.0.0.1", 6443, context=context)

    def write(method, path, one, kind):
        connection.request(method, path, json.dumps(one), {"Content-Type": kind})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"{path}: {answer.status} {body[:300]}")

    for path, one in objects(count, outside):
        write("POST", path, one, "application/json")
    if outside:
        write("PATCH", "/api/v1/namespaces/default/services/tested/status", {"status": {"loadBalancer": {"ingress": [{"ip": BALANCER}]}}},
              "application/merge-patch+json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--kube-proxy", None), ("--carrick", None), ("--mode", "nftables"), ("--prefix", f"kp{os.getpid()}"), ("--fill", "")):
        parser.add_argument(name, default=default)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--until-terminated", action="store_true", help="do not look at standard input")
    parser.add_argument("--outside", action="store_true", help="two nodes and a client outside")
    flags = parser.parse_args()
    if flags.fill:
        return fill(flags.fill, flags.services, flags.outside)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the end of standard input
    peer = OutsidePeer(flags) if flags.outside else Peer(flags)
    try:
        peer.build()
        seconds = peer.start_proxies({node: peer.serve(node) for node in peer.nodes})
        print(json.dumps({"client": f"/run/netns/{peer.names['client']}", "server": f"/run/netns/{peer.names['server']}",
                          "targets": [f"{host}:{port}" for host, port in peer.targets], "sync_seconds": round(seconds, 2)}), flush=True)
        signal.pause() if flags.until_terminated else sys.stdin.read()
    finally:
        peer.end()


main()
