#!/usr/bin/env python3
"""A real kube-proxy as a peer: three network namespaces (client, node, server), plain routing through the node, in the node Carrick's API
server with N Services of one endpoint each and kube-proxy, which programs its netfilter rules there.

kube_proxy.py --kube-proxy FILE --carrick FILE --mode nftables|iptables --services N --prefix NAME
Prints one JSON line {"client","server","target","sync_seconds"} when a connection through the tested Service works, then waits for the end
of standard input, or SIGTERM, and takes everything down. Needs root, nft or iptables. Only processes started here are ended, by pid.
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

CLIENT, SERVER, NODE_ADDRESS, TESTED = "10.9.1.2", "10.9.2.2", "192.0.2.11", "10.96.255.77"
PORT = 7777


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Peer:
    def __init__(self, flags):
        self.flags, self.children = flags, []
        self.names = {part: f"{flags.prefix}-{part}" for part in ("client", "node", "server")}
        self.folder = tempfile.TemporaryDirectory(prefix=flags.prefix)

    def inside(self, part, *words):
        sh("ip", "netns", "exec", self.names[part], *words)

    def start(self, part, log, *words):
        with open(f"{self.folder.name}/{log}.log", "w") as out:
            # Not by `ip netns exec`: its child would be another pid than ours.
            child = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.names[part]}", *words], stdout=out, stderr=out)
        self.children.append(child)
        return child

    def build(self):
        for name in self.names.values():
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
        for part, address in (("client", CLIENT), ("server", SERVER)):
            sh("ip", "link", "add", "eth0", "netns", self.names[part], "type", "veth", "peer", "name", part, "netns", self.names["node"])
            sh("ip", "-n", self.names[part], "link", "set", "eth0", "up")
            sh("ip", "-n", self.names["node"], "link", "set", part, "up")
            sh("ip", "-n", self.names[part], "addr", "add", f"{address}/32", "dev", "eth0")
            sh("ip", "-n", self.names[part], "route", "add", "169.254.1.1", "dev", "eth0", "scope", "link")
            sh("ip", "-n", self.names[part], "route", "add", "default", "via", "169.254.1.1", "dev", "eth0")
            mac = json.loads(subprocess.check_output(["ip", "-j", "-n", self.names["node"], "link", "show", part]))[0]["address"]
            sh("ip", "-n", self.names[part], "neigh", "add", "169.254.1.1", "lladdr", mac, "dev", "eth0", "nud", "permanent")
            mac = json.loads(subprocess.check_output(["ip", "-j", "-n", self.names[part], "link", "show", "eth0"]))[0]["address"]
            sh("ip", "-n", self.names["node"], "route", "add", f"{address}/32", "dev", part)
            sh("ip", "-n", self.names["node"], "neigh", "add", address, "lladdr", mac, "dev", part, "nud", "permanent")
        sh("ip", "-n", self.names["node"], "addr", "add", f"{NODE_ADDRESS}/32", "dev", "lo")
        self.inside("node", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def serve(self):
        kubeconfig = f"{self.folder.name}/kubeconfig"
        self.start("node", "apiserver", self.flags.carrick, "apiserver", "--port", "6443", "--kubeconfig", kubeconfig)
        deadline = time.monotonic() + 20
        while not os.path.exists(kubeconfig):
            if time.monotonic() > deadline:
                raise RuntimeError("the API server did not start: " + open(f"{self.folder.name}/apiserver.log").read()[-400:])
            time.sleep(0.02)
        return kubeconfig

    def start_proxy(self, kubeconfig):
        began = time.monotonic()
        proxy = self.start("node", "kube-proxy", self.flags.kube_proxy, f"--kubeconfig={kubeconfig}", f"--proxy-mode={self.flags.mode}",
                           "--hostname-override=node1", "--cluster-cidr=10.9.0.0/16", "--conntrack-max-per-core=0",
                           "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s")
        server = self.start("server", "server", sys.executable, "-c",
                            f"import socket\ns = socket.create_server(('', {PORT}))\nwhile True: s.accept()[0].close()")
        deadline = began + 900
        probe = f"import socket; socket.create_connection(('{TESTED}', 80), timeout=0.3)"
        while subprocess.run(["nsenter", f"--net=/run/netns/{self.names['client']}", sys.executable, "-c", probe],
                             stderr=subprocess.DEVNULL).returncode:
            if proxy.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("kube-proxy: " + open(f"{self.folder.name}/kube-proxy.log").read()[-800:])
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


def objects(count):
    """(path, object) of a Node, the tested Service and count - 1 others, each with an EndpointSlice of its own."""
    yield "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "spec": {"podCIDRs": ["10.9.0.0/16"]},
                            "status": {"addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}]}}
    for i in range(count):
        name, spec = (f"s{i}", {}) if i else ("tested", {"clusterIP": TESTED})
        spec["ports"] = [{"name": "http", "port": 80, "targetPort": PORT}]
        yield "/api/v1/namespaces/default/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        yield "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [SERVER], "conditions": {"ready": True}, "nodeName": "node1"}]}


def fill(kubeconfig, count):
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
    for path, one in objects(count):
        connection.request("POST", path, json.dumps(one), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 201:
            sys.exit(f"{path}: {answer.status} {body[:300]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--kube-proxy", None), ("--carrick", None), ("--mode", "nftables"), ("--prefix", f"kp{os.getpid()}"), ("--fill", "")):
        parser.add_argument(name, default=default)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--until-terminated", action="store_true", help="do not look at standard input")
    flags = parser.parse_args()
    if flags.fill:
        return fill(flags.fill, flags.services)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the end of standard input
    peer = Peer(flags)
    try:
        peer.build()
        kubeconfig = peer.serve()
        peer.inside("node", sys.executable, os.path.abspath(__file__), "--fill", kubeconfig, "--services", str(flags.services))
        seconds = peer.start_proxy(kubeconfig)
        print(json.dumps({"client": f"/run/netns/{peer.names['client']}", "server": f"/run/netns/{peer.names['server']}",
                          "target": f"{TESTED}:80", "sync_seconds": round(seconds, 2)}), flush=True)
        signal.pause() if flags.until_terminated else sys.stdin.read()
    finally:
        peer.end()


main()
