"""Packets made to reach the branches of programs: common protocols, damaged here and there, seeded.

Programs branch on header fields and lengths. So a packet is put together from well-formed headers, some of their
fields are then replaced by values at the edges of their widths or by the numbers that the program itself compares
with, and now and then it is cut or made longer. The same seed gives the same packets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from skep.isa import row_of
from skep.isa.meaning import Branch
from skep.objects import ProgramSpec

ETHERNET = 14
_IPV4, _IPV6, _ARP, _VLAN, _QINQ, _MPLS = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x8847
_ICMP, _IPIP, _TCP, _UDP, _IPV6_IN, _GRE, _ICMPV6 = 1, 4, 6, 17, 41, 47, 58
_HOP_BY_HOP, _ROUTING, _FRAGMENT = 0, 43, 44

#: What a test run wants behind an Ethernet header that names a network protocol: the whole of its fixed header.
NETWORK_HEADERS = {_IPV4: 20, _IPV6: 40}

#: What the kernel takes at most for one page of packet.
LONGEST = 3000

_PORTS = (22, 53, 67, 80, 123, 443, 1024, 4789, 6081, 8080, 8472, 51820, 65535)
_EDGES = (0, 1, 0x7F, 0x80, 0xFF)
_LENGTHS = (0, 1, 4, 8, 18, 26, 46, 64, 200, 600, 1400)


def constants(spec: ProgramSpec) -> list[int]:
    """The numbers that a program compares with, 0 left out: what its packets should hold to go both ways."""
    found = {
        instruction.imm & 0xFFFFFFFF
        for instruction in spec.instructions
        if (row := row_of(instruction)) is not None and isinstance(row.meaning, Branch) and instruction.imm
    }
    return sorted(found)


def packets(seed: int, count: int, wanted: Sequence[int] = ()) -> list[bytes]:
    """``count`` Ethernet frames; ``wanted`` are numbers that some of their fields should have."""
    random = Random(seed)
    return [packet(random, wanted) for _ in range(count)]


def packet(random: Random, wanted: Sequence[int] = ()) -> bytes:
    """One frame that a test run takes."""
    data = bytearray(_ethernet(random))
    for _ in range(random.choice((0, 0, 1, 1, 2, 4))):
        _MUTATIONS[random.randrange(len(_MUTATIONS))](random, data, wanted)
    del data[LONGEST:]
    return whole(bytes(data))


def whole(data: bytes) -> bytes:
    """``data``, lengthened with zeros to what a test run takes."""
    protocol = int.from_bytes(data[12:14], "big")
    return data.ljust(ETHERNET + NETWORK_HEADERS.get(protocol, 0), b"\0")


def _number(random: Random, size: int) -> bytes:
    return random.getrandbits(8 * size).to_bytes(size, "big")


def _ethernet(random: Random) -> bytes:
    protocol, content = random.choice(
        (_ipv4_frame, _ipv4_frame, _ipv4_frame, _ipv6_frame, _ipv6_frame, _arp, _unknown)
    )(random)
    tags = b""
    for kind in random.choice(((), (), (), (_VLAN,), (_QINQ, _VLAN), (_VLAN, _VLAN), (_MPLS,))):
        tags += struct.pack("!HH", kind, random.getrandbits(16))
    to = random.choice((bytes(6), b"\xff" * 6, _number(random, 6), b"\x01\x00\x5e\x00\x00\x01"))
    return to + _number(random, 6) + tags + struct.pack("!H", protocol) + content


def _payload(random: Random) -> bytes:
    return random.randbytes(random.choice(_LENGTHS))


def _ports(random: Random) -> bytes:
    return struct.pack("!HH", *(random.choice((*_PORTS, random.getrandbits(16))) for _ in range(2)))


def _transport(random: Random, inner: bool = False) -> tuple[int, bytes]:
    """A transport protocol's number, and its header with what it carries."""
    kind = random.choice((_TCP, _TCP, _UDP, _UDP, _ICMP, _ICMPV6, _GRE, _IPIP, _IPV6_IN, random.getrandbits(8)))
    content = _payload(random)
    match kind:
        case 6:
            words = random.choice((5, 5, 6, 8, 15))
            options = random.randbytes(4 * (words - 5))
            flags = random.choice((0x02, 0x10, 0x12, 0x18, 0x11, 0x04, random.getrandbits(8)))
            head = _number(random, 8) + bytes((words << 4, flags)) + _number(random, 6)
            return kind, _ports(random) + head + options + content
        case 17:
            return kind, _ports(random) + struct.pack("!H", 8 + len(content)) + _number(random, 2) + content
        case 1 | 58:
            head = bytes((random.choice((0, 3, 8, 11, 128, 129, 133, 135)), random.choice(_EDGES)))
            return kind, head + _number(random, 6) + content
        case 47:
            return kind, struct.pack("!HH", random.choice((0, 0x2000)), _IPV4) + content
        case 4 if not inner:
            return kind, _ipv4(random, inner=True)
        case 41 if not inner:
            return kind, _ipv6(random, inner=True)
    return kind, content


def _ipv4(random: Random, inner: bool = False) -> bytes:
    kind, content = _transport(random, inner)
    words = random.choice((5, 5, 5, 6, 15))
    options = random.randbytes(4 * (words - 5))
    fragment = random.choice((0, 0, 0x4000, 0x2000, random.getrandbits(16)))
    head = struct.pack(
        "!BBHHHBB",
        0x40 | words,
        random.choice((0, 0, 0x10, 0xB8, 3)),
        (4 * words + len(content)) & 0xFFFF,
        random.getrandbits(16),
        fragment,
        random.choice((64, 64, 1, 0, 255)),
        kind,
    )
    addresses = b"".join(
        random.choice((b"\x0a\0\0", b"\xc0\xa8\x01", b"\x7f\0\0")) + _number(random, 1) for _ in "ab"
    )
    checksum = (~_sum(head + addresses + options)) & 0xFFFF
    if random.random() < 0.1:
        checksum = random.getrandbits(16)
    return head + struct.pack("!H", checksum) + addresses + options + content


def _sum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _ipv6(random: Random, inner: bool = False) -> bytes:
    kind, content = _transport(random, inner)
    for extension in random.choice(((), (), (_HOP_BY_HOP,), (_ROUTING, _HOP_BY_HOP), (_FRAGMENT,))):
        content = bytes((kind, 0)) + _number(random, 6) + content
        kind = extension
    first = 0x60000000 | random.getrandbits(28)
    head = struct.pack("!IHBB", first, len(content) & 0xFFFF, kind, random.choice((64, 1, 255)))
    prefix = random.choice((b"\xfe\x80", b"\x20\x01", b"\xff\x02", b"\0\0"))
    return head + prefix + _number(random, 14) + prefix + _number(random, 14) + content


def _ipv4_frame(random: Random) -> tuple[int, bytes]:
    return _IPV4, _ipv4(random)


def _ipv6_frame(random: Random) -> tuple[int, bytes]:
    return _IPV6, _ipv6(random)


def _arp(random: Random) -> tuple[int, bytes]:
    return _ARP, struct.pack("!HHBBH", 1, _IPV4, 6, 4, random.choice((1, 2))) + _number(random, 20)


def _unknown(random: Random) -> tuple[int, bytes]:
    return random.getrandbits(16), _payload(random)


def _edge(random: Random, data: bytearray, wanted: Sequence[int]) -> None:
    data[random.randrange(len(data))] = random.choice(_EDGES)


def _flip(random: Random, data: bytearray, wanted: Sequence[int]) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _want(random: Random, data: bytearray, wanted: Sequence[int]) -> None:
    """One of the program's own numbers, in either byte order, where a field may be."""
    if not wanted:
        return
    number = random.choice(wanted)
    size = 1 if number < 0x100 else 2 if number < 0x10000 else 4
    size = min(4, size * random.choice((1, 1, 2)))
    if len(data) < size:
        return
    place = random.choice((12, 14, 16, 20, 23, 26, 30, 34, 36, random.randrange(len(data) - size + 1)))
    place = min(place, len(data) - size)
    data[place : place + size] = (number & (1 << 8 * size) - 1).to_bytes(size, random.choice(("big", "little")))


def _cut(random: Random, data: bytearray, wanted: Sequence[int]) -> None:
    del data[random.randrange(ETHERNET, len(data) + 1) :]


def _lengthen(random: Random, data: bytearray, wanted: Sequence[int]) -> None:
    data += _payload(random)


_MUTATIONS: tuple[Callable[[Random, bytearray, Sequence[int]], None], ...] = (
    _edge,
    _flip,
    _want,
    _want,
    _cut,
    _lengthen,
)
