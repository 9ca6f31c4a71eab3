"""XDP: a program that sees a frame before the kernel makes a socket buffer of it.

Context ``struct xdp_md``. The frame is a page: 256 bytes of headroom (XDP_PACKET_HEADROOM) before the packet, room
for ``struct skb_shared_info`` (320 bytes on 64-bit machines) behind the last byte that the packet may grow to. A
larger packet gets as many pages as it needs in one piece; the kernel would spread it over fragments.
Source: the user-space interface, and BPF_PROG_TEST_RUN of Linux 6.18 asked in ``tests/programs``.
"""

from __future__ import annotations

import ctypes
import struct
from types import MappingProxyType

from skep.errors import RequestError
from skep.lang import Ptr, cast, offset_of, size_of, u8, view
from skep.memory.contexts import XdpContext
from skep.objects.kinds import AttachType, ProgramType
from skep.programs.field import ContextField, FieldKind
from skep.programs.kind import Output, ProgramKind

HEADROOM = 256
#: What the kernel keeps at the end of a frame for ``struct skb_shared_info``, rounded up to a cache line.
TAILROOM = 320
#: What the kernel keeps at the start of a frame for ``struct xdp_frame``: packet and metadata stay behind it.
FRAME_HEADER = 40
PAGE = 4096
#: A whole Ethernet header, without which BPF_PROG_TEST_RUN takes nothing.
ETHERNET_HEADER = 14
#: The device that BPF_PROG_TEST_RUN says a packet came from, unless the caller names one.
LOOPBACK = 1


def _pointer(name: str, offset: int, kind: FieldKind) -> ContextField:
    return ContextField(name, offset, 4, offset_of(XdpContext, name), 8, kind, reads=frozenset({4}))


def _scalar(name: str, offset: int) -> ContextField:
    return ContextField(name, offset, 4, offset_of(XdpContext, name), 4, reads=frozenset({4}))


FIELDS = (
    _pointer("data", 0, FieldKind.PACKET),
    _pointer("data_end", 4, FieldKind.PACKET_END),
    _pointer("data_meta", 8, FieldKind.PACKET_META),
    _scalar("ingress_ifindex", 12),
    _scalar("rx_queue_index", 16),
    _scalar("egress_ifindex", 20),
)


class XdpKind(ProgramKind):
    """How one frame is laid out for an XDP program."""

    def buffer_size(self, length: int) -> int:
        """Whole pages that hold headroom, packet and tailroom."""
        self.check_length(length)
        return -(-(HEADROOM + length + TAILROOM) // PAGE) * PAGE

    def enter(self, context: int, buffer: int, data: bytes, given: bytes = b"") -> None:
        """Lay one frame out; the context given may say how many leading bytes of ``data`` are metadata (``data``)."""
        size = self.buffer_size(len(data))
        metadata, end, meta_start, ingress, queue, egress = struct.unpack("=6I", self.complete(given))
        if given:
            self._check_given(len(data), metadata, end, meta_start, egress)
        native = view(XdpContext, context)
        ctypes.memset(context, 0, size_of(XdpContext))
        # A helper may make headroom part of the packet; no bytes of an earlier one are to be found there.
        ctypes.memset(buffer, 0, HEADROOM)
        ctypes.memmove(buffer + HEADROOM - metadata, data, len(data))
        native.ingress_ifindex = ingress or LOOPBACK
        native.rx_queue_index = queue
        native.hard_start = cast(Ptr[u8], buffer)
        native.hard_end = cast(Ptr[u8], buffer + size - TAILROOM)
        native.data_meta = cast(Ptr[u8], buffer + HEADROOM - metadata)
        native.data = cast(Ptr[u8], buffer + HEADROOM)
        native.data_end = cast(Ptr[u8], buffer + HEADROOM - metadata + len(data))

    @staticmethod
    def _check_given(length: int, metadata: int, end: int, meta_start: int, egress: int) -> None:
        if end != length:
            raise RequestError(
                f"data_end of the xdp_md given is {end}, and the packet has {length} bytes: give its whole length, "
                f"packets in fragments cannot be run"
            )
        if meta_start or egress:
            raise RequestError("data_meta and egress_ifindex of the xdp_md given are not 0, which no run can have")
        if metadata > min(end, HEADROOM - FRAME_HEADER) or metadata % 4 or end - metadata < ETHERNET_HEADER:
            raise RequestError(
                f"data of the xdp_md given says {metadata} bytes of metadata: it has to be a multiple of 4, at most "
                f"{HEADROOM - FRAME_HEADER}, and to leave a packet of {ETHERNET_HEADER} bytes or more"
            )

    def leave(self, context: int, buffer: int, length: int, given: bytes = b"") -> Output:
        """Metadata and packet in one, and an ``xdp_md`` whose ``data`` and ``data_end`` count from its first byte."""
        low, high = self.packet_bounds(context, buffer, length)
        native = view(XdpContext, context)
        seen = struct.pack("=2I", int(native.data) - low, high - low) + self.complete(given)[8:]
        return Output(ctypes.string_at(low, high - low), seen)

    def packet_bounds(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """From ``data_meta`` to ``data_end``."""
        native = view(XdpContext, context)
        return int(native.data_meta), int(native.data_end)


XDP = XdpKind(
    type=ProgramType.XDP,
    label="xdp",
    context_name="xdp_md",
    context_size=24,
    native_size=size_of(XdpContext),
    given_name="xdp_md",
    given_size=24,
    fields=FIELDS,
    attach_fields=MappingProxyType({"egress_ifindex": frozenset({AttachType.XDP_DEVMAP})}),
    return_names=MappingProxyType({0: "XDP_ABORTED", 1: "XDP_DROP", 2: "XDP_PASS", 3: "XDP_TX", 4: "XDP_REDIRECT"}),
    smallest_input=ETHERNET_HEADER,
)
