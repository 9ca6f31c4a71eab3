"""Write ``traffic.pcap``: half a second of made-up traffic that gives every example something to see.

The same bytes at each run. Web requests to 10.0.0.100 (what ``tc_rewrite`` looks for) from eight clients, one of
them much too eager (for ``rate_limiter``), DNS, pings, ARP, IPv6, VLANs, TCP options and a few damaged frames.
Needs dpkt alone: ``python make_capture.py [FILE]``.
"""

from __future__ import annotations

import random
import socket
import sys

import dpkt

CLIENTS = [f"192.0.2.{n}" for n in range(1, 9)]
SERVICE = "10.0.0.100"
ROUTER = b"\x02\x00\x00\x00\x00\x01"
HOST = b"\x02\x00\x00\x00\x00\x02"
START = 1_700_000_000.0


def ethernet(kind: int, payload: bytes, vlan: int | None = None) -> bytes:
    """A frame from the router to the host, with an 802.1Q tag where ``vlan`` is given."""
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return HOST + ROUTER + tag + kind.to_bytes(2, "big") + payload


def ipv4(source: str, destination: str, protocol: int, payload: object) -> bytes:
    """An IPv4 packet; dpkt fills in both checksums."""
    packet = dpkt.ip.IP(
        src=socket.inet_aton(source), dst=socket.inet_aton(destination), p=protocol, data=payload, ttl=64
    )
    packet.len = len(packet)
    return bytes(packet)


def frames(dice: random.Random) -> list[bytes]:
    """The traffic, in order."""
    made = []
    for n in range(240):
        client = CLIENTS[0] if n % 3 else dice.choice(CLIENTS[1:])
        kind = dice.choices(["web", "dns", "ping", "arp", "ipv6", "vlan", "damaged"], [50, 18, 8, 6, 10, 5, 3])[0]
        port = dice.randrange(32768, 61000)
        if kind == "web":
            options = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + n.to_bytes(4, "big") + bytes(4) + b"\x01\x03\x03\x07"
            tcp = dpkt.tcp.TCP(sport=port, dport=80, seq=n, flags=dpkt.tcp.TH_SYN, off=10, opts=options)
            made.append(ethernet(0x0800, ipv4(client, SERVICE, 6, tcp)))
        elif kind in ("dns", "vlan"):
            query = dpkt.dns.DNS(id=n, qd=[dpkt.dns.DNS.Q(name="skep.example", type=dpkt.dns.DNS_A)])
            udp = dpkt.udp.UDP(sport=port, dport=53, data=bytes(query))
            udp.ulen = len(udp)
            made.append(
                ethernet(0x0800, ipv4(client, "10.0.0.53", 17, udp), vlan=n % 7 + 1 if kind == "vlan" else None)
            )
        elif kind == "ping":
            echo = dpkt.icmp.ICMP(type=8, data=dpkt.icmp.ICMP.Echo(id=1, seq=n, data=bytes(range(56))))
            made.append(ethernet(0x0800, ipv4(client, SERVICE, 1, echo)))
        elif kind == "arp":
            made.append(
                ethernet(
                    0x0806, bytes(dpkt.arp.ARP(sha=ROUTER, spa=bytes([192, 0, 2, 254]), tpa=bytes([10, 0, 0, 100])))
                )
            )
        elif kind == "ipv6":
            inner = dpkt.tcp.TCP(sport=port, dport=443, seq=n, flags=dpkt.tcp.TH_ACK)
            address = bytes.fromhex("20010db8") + bytes(11)
            packet = dpkt.ip6.IP6(src=address + b"\x01", dst=address + b"\x02", nxt=6, hlim=64, data=inner)
            packet.plen = len(inner)
            made.append(ethernet(0x86DD, bytes(packet)))
        else:
            made.append(
                ethernet(0x0800, ipv4(client, SERVICE, 6, dpkt.tcp.TCP(sport=port, dport=80)))[
                    : dice.randrange(14, 34)
                ]
            )
    return made


def main() -> None:
    """Write the capture."""
    dice = random.Random(2019)
    with open(sys.argv[1] if len(sys.argv) > 1 else "traffic.pcap", "wb") as file:
        writer = dpkt.pcap.Writer(file)
        for n, frame in enumerate(frames(dice)):
            writer.writepkt(frame, ts=START + n * 0.002)


if __name__ == "__main__":
    main()
