"""Programs that see a socket buffer: socket filters, tc, cgroup skb and lightweight tunnels.

Context ``struct __sk_buff``; the types differ in which of its fields they may read and write, and in where the packet
starts: at the Ethernet header for tc, behind it (at the network header) for the others.

Source: the user-space interface; the sizes of access, the defaults and the limits are what Linux 6.18 answers
(``tests/programs`` asks a running kernel for every offset, size and type, and what BPF_PROG_TEST_RUN makes of a
packet).
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skep.errors import RequestError
from skep.lang import Ptr, cast, offset_of, size_of, u8, view
from skep.memory.contexts import FlowKeys, SkbContext, Socket
from skep.objects.kinds import ProgramType
from skep.programs.field import NO_SIZES, ContextField, FieldKind, Sizes
from skep.programs.kind import Output, ProgramKind
from skep.programs.xdp import ETHERNET_HEADER, HEADROOM, LOOPBACK, TAILROOM

#: The longest packet that a helper may grow a socket buffer to: four pages less what the kernel keeps at the end.
LONGEST_GROWN = 4 * 4096 - TAILROOM


_SOCKET_FILTER = frozenset({ProgramType.SOCKET_FILTER})
_TC = frozenset({ProgramType.SCHED_CLS, ProgramType.SCHED_ACT})
_CGROUP = frozenset({ProgramType.CGROUP_SKB})
_TUNNEL = frozenset({ProgramType.LWT_IN, ProgramType.LWT_OUT, ProgramType.LWT_XMIT, ProgramType.LWT_SEG6LOCAL})
_FLOW_DISSECTOR = frozenset({ProgramType.FLOW_DISSECTOR})
_NOBODY: frozenset[ProgramType] = frozenset()
_SKB = _SOCKET_FILTER | _TC | _CGROUP | _TUNNEL

_FULL: Sizes = frozenset({4})
_NARROW: Sizes = frozenset({1, 2, 4})
_ANY: Sizes = frozenset({1, 2, 4, 8})
_BYTE: Sizes = frozenset({1})
_WIDE: Sizes = frozenset({8})


@dataclass(frozen=True, slots=True)
class _Row:
    """A field of ``struct __sk_buff``: who may read it in which sizes, and who may write it, in ``writes`` sizes.

    ``kept`` is how many bytes of a value written are kept, as many as the kernel's own field has.
    """

    name: str
    offset: int
    size: int
    reads: Sizes
    readers: frozenset[ProgramType]
    writers: frozenset[ProgramType] = _NOBODY
    writes: Sizes = _FULL
    kind: FieldKind = FieldKind.SCALAR
    kept: int | None = None
    ignored_from: int | None = None

    def seen_by(self, program: ProgramType) -> ContextField:
        pointer = self.kind is not FieldKind.SCALAR
        return ContextField(
            self.name,
            self.offset,
            self.size,
            offset_of(SkbContext, self.name),
            8 if pointer else self.kept or self.size,
            self.kind,
            self.reads if program in self.readers else NO_SIZES,
            self.writes if program in self.writers else NO_SIZES,
            self.ignored_from,
        )


_ROWS = (
    _Row("len", 0, 4, _NARROW, _SKB),
    _Row("pkt_type", 4, 4, _NARROW, _SKB),
    _Row("mark", 8, 4, _NARROW, _SKB, _TC | _CGROUP | _TUNNEL),
    # The kernel numbers queues from 1 in 16 bits and does not store a number that would not fit.
    _Row("queue_mapping", 12, 4, _NARROW, _SKB, _TC, kept=2, ignored_from=0xFFFF),
    _Row("protocol", 16, 4, _NARROW, _SKB),
    _Row("vlan_present", 20, 4, _NARROW, _SKB),
    _Row("vlan_tci", 24, 4, _NARROW, _SKB),
    _Row("vlan_proto", 28, 4, _NARROW, _SKB),
    _Row("priority", 32, 4, _NARROW, _SKB, _TC | _CGROUP | _TUNNEL),
    _Row("ingress_ifindex", 36, 4, _NARROW, _SKB),
    _Row("ifindex", 40, 4, _NARROW, _SKB),
    _Row("tc_index", 44, 4, _NARROW, _SKB, _TC, kept=2),
    _Row("cb", 48, 20, _ANY, _SKB, _SKB, writes=_ANY),
    _Row("hash", 68, 4, _NARROW, _SKB),
    _Row("tc_classid", 72, 4, _NARROW, _TC, _TC, kept=2),
    _Row("data", 76, 4, _FULL, _TC | _CGROUP | _TUNNEL | _FLOW_DISSECTOR, kind=FieldKind.PACKET),
    _Row("data_end", 80, 4, _FULL, _TC | _CGROUP | _TUNNEL | _FLOW_DISSECTOR, kind=FieldKind.PACKET_END),
    _Row("napi_id", 84, 4, _NARROW, _SKB),
    _Row("family", 88, 4, _NARROW, _CGROUP),
    _Row("remote_ip4", 92, 4, _FULL, _CGROUP),
    _Row("local_ip4", 96, 4, _FULL, _CGROUP),
    _Row("remote_ip6", 100, 16, _FULL, _CGROUP),
    _Row("local_ip6", 116, 16, _FULL, _CGROUP),
    _Row("remote_port", 132, 4, _NARROW, _CGROUP),
    _Row("local_port", 136, 4, _NARROW, _CGROUP),
    _Row("data_meta", 140, 4, _FULL, _TC, kind=FieldKind.PACKET_META),
    _Row("flow_keys", 144, 8, _WIDE, _FLOW_DISSECTOR, kind=FieldKind.FLOW_KEYS),
    _Row("tstamp", 152, 8, _WIDE, _TC | _CGROUP, _TC | _CGROUP, writes=_WIDE),
    _Row("wire_len", 160, 4, _NARROW, _TC),
    _Row("gso_segs", 164, 4, _NARROW, _SKB),
    _Row("sk", 168, 8, _WIDE, _SKB, kind=FieldKind.SOCKET),
    _Row("gso_size", 176, 4, _NARROW, _SKB),
    _Row("tstamp_type", 180, 1, _BYTE, _TC),
    _Row("hwtstamp", 184, 8, _WIDE, _TC | _CGROUP),
)


def fields_for(program: ProgramType) -> tuple[ContextField, ...]:
    """The fields of ``struct __sk_buff`` that a program type may read or write."""
    return tuple(row for row in (one.seen_by(program) for one in _ROWS) if row.readable or row.writable)


#: What the caller may set in the context it gives, as BPF_PROG_TEST_RUN has it; everything else has to be 0.
_GIVEN = (
    "mark",
    "priority",
    "ingress_ifindex",
    "ifindex",
    "cb",
    "tstamp",
    "wire_len",
    "gso_segs",
    "gso_size",
    "hwtstamp",
)
#: What the context that the caller gets back says; the rest of it is what was given.
_RETURNED = ("mark", "priority", "ingress_ifindex", "ifindex", "cb", "tstamp", "wire_len", "gso_segs", "hwtstamp")

_SPANS: Mapping[str, tuple[int, int]] = MappingProxyType({one.name: (one.offset, one.size) for one in _ROWS})

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
ETH_P_802_3_RAW, ETH_P_802_2 = 0x0001, 0x0004
#: From here on the last two bytes of an Ethernet header are a protocol and not a length.
FIRST_PROTOCOL = 0x0600
AF_INET, AF_INET6 = 2, 10
PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST = 0, 2, 3
_TCP_CLOSE = 7
_LARGEST_GSO = 65536
_MOST_SEGMENTS = 65535


def ethernet_protocol(data: bytes) -> int:
    """What the kernel takes the protocol of a frame to be: its EtherType, or a number for a frame with a length."""
    protocol = int.from_bytes(data[12:14], "big")
    if protocol >= FIRST_PROTOCOL:
        return protocol
    return ETH_P_802_3_RAW if data[14:16] == b"\xff\xff" else ETH_P_802_2


def packet_type(data: bytes) -> int:
    """Whom the frame is for, as the loopback device (address 0, no broadcast address) sees it."""
    if not any(data[:6]):
        return PACKET_HOST
    return PACKET_MULTICAST if data[0] & 1 else PACKET_OTHERHOST


@dataclass(frozen=True)
class SkbKind(ProgramKind):
    """How one packet is laid out for a program that sees a socket buffer.

    The input starts with its Ethernet header. ``link_layer`` says whether the program's packet does too.
    """

    link_layer: bool = False

    def buffer_size(self, length: int) -> int:
        """Room for the packet at the largest size that a helper may give it."""
        self.check_length(length)
        return -(-(HEADROOM + max(length, LONGEST_GROWN) + TAILROOM) // 64) * 64

    def enter(self, context: int, buffer: int, data: bytes, given: bytes = b"") -> None:
        """Lay one packet out. A cut IP header, which BPF_PROG_TEST_RUN refuses, is run as a live kernel would."""
        size = self.buffer_size(len(data))
        given = self.complete(given)
        length = len(data) if self.link_layer else len(data) - ETHERNET_HEADER
        self._check_given(given, length)
        ctypes.memset(context, 0, size_of(SkbContext))
        for name in _GIVEN:
            offset, span = _SPANS[name]
            ctypes.memmove(context + offset_of(SkbContext, name), given[offset : offset + span], span)
        start = buffer + HEADROOM
        ctypes.memmove(start, data, len(data))
        native = view(SkbContext, context)
        native.len = length
        native.pkt_type = packet_type(data)
        protocol = ethernet_protocol(data)
        native.protocol = int.from_bytes(protocol.to_bytes(2, "big"), "little")
        native.ifindex = native.ifindex or LOOPBACK
        native.wire_len = native.wire_len or length
        native.hard_start = cast(Ptr[u8], buffer)
        native.hard_end = cast(Ptr[u8], buffer + size - TAILROOM)
        native.mac_header = cast(Ptr[u8], start)
        native.network_header = cast(Ptr[u8], start + ETHERNET_HEADER)
        native.data = native.data_meta = cast(Ptr[u8], start + len(data) - length)
        native.data_end = cast(Ptr[u8], start + len(data))
        native.flow_keys = cast(Ptr[FlowKeys], context + offset_of(SkbContext, "keys"))
        native.sk = cast(Ptr[Socket], context + offset_of(SkbContext, "socket"))
        self._fill_socket(native, protocol, data[ETHERNET_HEADER:])

    @staticmethod
    def _fill_socket(native: SkbContext, protocol: int, network: bytes) -> None:
        """The socket that BPF_PROG_TEST_RUN makes up: closed, with the packet's addresses turned round."""
        socket = native.socket
        socket.state = _TCP_CLOSE
        socket.rx_queue_mapping = -1
        if protocol == ETH_P_IP and len(network) >= 20:
            native.family = socket.family = AF_INET
            native.local_ip4, native.remote_ip4 = socket.src_ip4, socket.dst_ip4 = struct.unpack_from(
                "=2I", network, 12
            )
        if protocol == ETH_P_IPV6 and len(network) >= 40:
            native.family = socket.family = AF_INET6
            for word, value in enumerate(struct.unpack_from("=4I", network, 8)):
                native.local_ip6[word] = socket.src_ip6[word] = value
            for word, value in enumerate(struct.unpack_from("=4I", network, 24)):
                native.remote_ip6[word] = socket.dst_ip6[word] = value

    @staticmethod
    def _check_given(given: bytes, length: int) -> None:
        rest = bytearray(given)
        for offset, span in (_SPANS[name] for name in _GIVEN):
            rest[offset : offset + span] = bytes(span)
        if any(rest):
            at = next(index for index, byte in enumerate(rest) if byte)
            raise RequestError(f"byte {at} of the __sk_buff given is not 0: only {', '.join(_GIVEN)} may be set")
        wire_length, segments = struct.unpack_from("=2I", given, 160)
        if wire_length and not length <= wire_length <= _LARGEST_GSO:
            raise RequestError(
                f"wire_len of the __sk_buff given is {wire_length}: it is 0 (unknown) or between the length of the "
                f"packet, {length}, and {_LARGEST_GSO}"
            )
        if segments > _MOST_SEGMENTS:
            raise RequestError(f"gso_segs of the __sk_buff given is {segments}, more than {_MOST_SEGMENTS}")

    def leave(self, context: int, buffer: int, length: int, given: bytes = b"") -> Output:
        """The packet, behind 14 zero bytes where the program's packet has no Ethernet header, and the context."""
        native = view(SkbContext, context)
        low, high = int(native.data), int(native.data_end)
        packet = ctypes.string_at(low, high - low)
        seen = bytearray(self.complete(given))
        for name in _RETURNED:
            offset, span = _SPANS[name]
            seen[offset : offset + span] = ctypes.string_at(context + offset_of(SkbContext, name), span)
        return Output(packet if self.link_layer else bytes(ETHERNET_HEADER) + packet, bytes(seen))

    def packet_bounds(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """From ``data_meta`` to ``data_end``."""
        native = view(SkbContext, context)
        return int(native.data_meta), int(native.data_end)


def _kind(program: ProgramType, label: str, names: Mapping[int, str], *, link_layer: bool = False) -> SkbKind:
    return SkbKind(
        type=program,
        label=label,
        context_name="__sk_buff",
        context_size=192,
        native_size=size_of(SkbContext),
        given_name="__sk_buff",
        given_size=192,
        fields=fields_for(program),
        return_names=MappingProxyType(dict(names)),
        smallest_input=ETHERNET_HEADER,
        link_layer=link_layer,
    )


_TC_NAMES = {
    -1: "TC_ACT_UNSPEC",
    0: "TC_ACT_OK",
    1: "TC_ACT_RECLASSIFY",
    2: "TC_ACT_SHOT",
    3: "TC_ACT_PIPE",
    4: "TC_ACT_STOLEN",
    5: "TC_ACT_QUEUED",
    6: "TC_ACT_REPEAT",
    7: "TC_ACT_REDIRECT",
    8: "TC_ACT_TRAP",
}
_TUNNEL_NAMES = {0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT", 128: "BPF_LWT_REROUTE"}

#: A socket filter returns how many bytes of the packet to keep; only none has a name.
SOCKET_FILTER = _kind(ProgramType.SOCKET_FILTER, "socket_filter", {0: "drop"})
SCHED_CLS = _kind(ProgramType.SCHED_CLS, "sched_cls", _TC_NAMES, link_layer=True)
SCHED_ACT = _kind(ProgramType.SCHED_ACT, "sched_act", _TC_NAMES, link_layer=True)
#: The interface has no names for these. On egress bit 1 also asks the sender to slow down.
CGROUP_SKB = _kind(
    ProgramType.CGROUP_SKB, "cgroup_skb", {0: "deny", 1: "allow", 2: "deny, congested", 3: "allow, congested"}
)
LWT_IN = _kind(ProgramType.LWT_IN, "lwt_in", _TUNNEL_NAMES)
LWT_OUT = _kind(ProgramType.LWT_OUT, "lwt_out", _TUNNEL_NAMES)
LWT_XMIT = _kind(ProgramType.LWT_XMIT, "lwt_xmit", _TUNNEL_NAMES)
LWT_SEG6LOCAL = _kind(ProgramType.LWT_SEG6LOCAL, "lwt_seg6local", {0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT"})
KINDS = (SOCKET_FILTER, SCHED_CLS, SCHED_ACT, CGROUP_SKB, LWT_IN, LWT_OUT, LWT_XMIT, LWT_SEG6LOCAL)
