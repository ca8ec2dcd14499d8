"""Which address and interface of this machine reach another one, and a free port: python node_address.py [PEER]

Prints `<ip> <interface> <port>`. PEER is a host name or an address; without one, the way to the internet counts, else
the host's own name. IPv4 is taken where both families work. RAY_NODE_IP sets the address.
"""
import os
import random
import socket
import sys

import psutil

ANYWHERE = ("192.0.2.1", "2001:db8::1")  # for documentation only: a route is looked up, nothing is sent
PORTS = range(20000, 30000)  # above Ray's worker ports, below those that the kernel gives to outgoing connections


def route_source(peer: str) -> str | None:
    """The address from which this machine would reach `peer`."""
    try:
        found = socket.getaddrinfo(peer, 9, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    for family, kind, _, _, address in sorted(found, key=lambda entry: entry[0] != socket.AF_INET):
        try:
            with socket.socket(family, kind) as probe:
                probe.connect(address)
                source = probe.getsockname()[0].partition("%")[0]
        except OSError:
            continue
        if not source.startswith("127.") and source != "::1":
            return source
    return None


def node_ip(peers: list[str]) -> str:
    """The address towards the first of `peers` that there is a way to; the loopback address of a lone machine."""
    return next((ip for peer in peers if (ip := route_source(peer))), "127.0.0.1")


def interface_of(ip: str) -> str:
    """The network interface that has `ip`. ValueError where none has."""
    interfaces = psutil.net_if_addrs()
    for name, addresses in interfaces.items():
        if any(address.address.partition("%")[0] == ip for address in addresses):
            return name
    raise ValueError(
        f"no network interface has the address {ip} (there are {', '.join(interfaces)}); correct RAY_NODE_IP")


def free_port(ip: str) -> int:
    """A port of PORTS that nobody listens on."""
    for port in random.Random().sample(PORTS, 200):
        with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
            try:
                probe.bind((ip, port))
                return port
            except OSError:
                continue
    raise OSError(f"none of 200 ports between {PORTS.start} and {PORTS.stop} is free on {ip}")


if __name__ == "__main__":
    own = os.environ.get("RAY_NODE_IP") or node_ip([*sys.argv[1:], *ANYWHERE, socket.gethostname()])
    print(own, interface_of(own), free_port(own))
