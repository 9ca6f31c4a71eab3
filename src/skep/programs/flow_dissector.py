"""Flow dissector: a program that finds the headers and the flow of a packet.

Its context is a ``struct __sk_buff`` of which only ``data``, ``data_end`` and ``flow_keys`` are there; it fills in
the ``struct bpf_flow_keys`` behind the latter, and that is what comes out. Source: as for ``skb``.
"""

from __future__ import annotations

import ctypes
from types import MappingProxyType

from skep.errors import RequestError
from skep.lang import Ptr, cast, offset_of, size_of, u8, view
from skep.memory.contexts import FlowKeys, SkbContext
from skep.objects.kinds import ProgramType
from skep.programs.kind import Output, ProgramKind
from skep.programs.skb import fields_for
from skep.programs.xdp import ETHERNET_HEADER

_FLAGS = offset_of(FlowKeys, "flags")


class FlowDissectorKind(ProgramKind):
    """How one packet is laid out for a flow dissector."""

    def buffer_size(self, length: int) -> int:
        """The packet alone, which the program may only read."""
        self.check_length(length)
        return length

    def enter(self, context: int, buffer: int, data: bytes, given: bytes = b"") -> None:
        """Lay one packet out; of the ``bpf_flow_keys`` given only ``flags`` may be set."""
        self.check_length(len(data))
        given = self.complete(given)
        rest = given[:_FLAGS] + given[_FLAGS + 4 :]
        if any(rest):
            raise RequestError("only flags of the bpf_flow_keys given may be set; the dissector finds out the rest")
        ctypes.memset(context, 0, size_of(SkbContext))
        ctypes.memmove(buffer, data, len(data))
        native = view(SkbContext, context)
        native.len = len(data)
        native.data = native.data_meta = native.hard_start = cast(Ptr[u8], buffer)
        native.data_end = native.hard_end = cast(Ptr[u8], buffer + len(data))
        native.mac_header = cast(Ptr[u8], buffer)
        native.network_header = cast(Ptr[u8], buffer + ETHERNET_HEADER)
        native.flow_keys = cast(Ptr[FlowKeys], context + offset_of(SkbContext, "keys"))
        keys = native.keys
        keys.nhoff = keys.thoff = ETHERNET_HEADER
        keys.n_proto = int.from_bytes(data[12:14], "little")
        keys.flags = int.from_bytes(given[_FLAGS : _FLAGS + 4], "little")
        native.protocol = keys.n_proto

    def leave(self, context: int, buffer: int, length: int, given: bytes = b"") -> Output:
        """The flow keys, with offsets that the kernel keeps inside the packet, and the flow keys given."""
        keys = view(SkbContext, context).keys
        network = min(max(keys.nhoff, ETHERNET_HEADER), length)
        transport = min(max(keys.thoff, network), length)
        found = network.to_bytes(2, "little") + transport.to_bytes(2, "little")
        start = context + offset_of(SkbContext, "keys")
        return Output(found + ctypes.string_at(start + 4, size_of(FlowKeys) - 4), self.complete(given))

    def packet_bounds(self, context: int, buffer: int, length: int) -> tuple[int, int]:
        """The packet."""
        return buffer, buffer + length


FLOW_DISSECTOR = FlowDissectorKind(
    type=ProgramType.FLOW_DISSECTOR,
    label="flow_dissector",
    context_name="__sk_buff",
    context_size=192,
    native_size=size_of(SkbContext),
    given_name="bpf_flow_keys",
    given_size=size_of(FlowKeys),
    fields=fields_for(ProgramType.FLOW_DISSECTOR),
    return_names=MappingProxyType({0: "BPF_OK", 2: "BPF_DROP", 129: "BPF_FLOW_DISSECTOR_CONTINUE"}),
    smallest_input=ETHERNET_HEADER,
)
