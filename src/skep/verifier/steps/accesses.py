"""Accesses to memory: which kind of memory a register points to decides what may be done with it.

One checker for each kind of pointer, in a table. A checker refuses the access or gives what a load of it leaves in a
register. Messages were observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skep.objects.kinds import ProgramType
from skep.verifier.answers.text import tnum_text
from skep.verifier.kernel import kernel_objects
from skep.verifier.maps import allocated, kptrs
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import SpecialField
from skep.verifier.numbers import tnum
from skep.verifier.numbers.scalar import S64_MIN, constant
from skep.verifier.rejection import Rejection
from skep.verifier.stack import stack_access
from skep.verifier.states.register import (
    ALLOCATED,
    MAYBE_NULL,
    READ_ONLY,
    UNTRUSTED,
    Kind,
    Register,
    number,
)
from skep.verifier.structure import OFFSET_LIMIT

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


_ARENA: Final = Kind.ARENA
_MEMORY: Final = Kind.MEMORY
_OBJECT: Final = Kind.OBJECT
_PACKET: Final = Kind.PACKET
_PACKET_META: Final = Kind.PACKET_META
_TRACEPOINT_BUFFER: Final = Kind.TRACEPOINT_BUFFER

_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK


class Access:
    """One access: ``size`` bytes at ``offset`` from where register ``index`` points.

    ``source`` is the register stored, negative for an immediate; ``value`` what is stored, None for a load.
    ``offset`` is that of the instruction: the pointer's own parts are not in it.
    """

    __slots__ = ("index", "offset", "pointer", "size", "source", "strict", "value")

    def __init__(
        self,
        index: int,
        pointer: Register,
        offset: int,
        size: int,
        value: Register | None = None,
        source: int = -1,
        *,
        strict: bool = False,
    ) -> None:
        self.index = index
        self.pointer = pointer
        self.offset = offset
        self.size = size
        self.value = value
        self.source = source
        self.strict = strict

    @property
    def is_store(self) -> bool:
        """Whether it writes."""
        return self.value is not None


def check(explorer: Explorer, access: Access) -> Register | None:
    """Refuse an access, or give what a load leaves in a register (None: any number)."""
    pointer = access.pointer
    check_alignment(explorer, access)
    if pointer.kind is _OBJECT and not pointer.flags & MAYBE_NULL:
        if pointer.flags & ALLOCATED:
            return allocated.access(explorer, access)
        return kernel_objects.access(explorer, access)
    checker = None if pointer.flags & (MAYBE_NULL | UNTRUSTED) else _CHECKERS.get(pointer.kind)
    if checker is None:
        if pointer.kind is _MEMORY and pointer.flags & UNTRUSTED and not pointer.flags & MAYBE_NULL:
            return _check_untrusted_memory(access)
        raise Rejection(
            f"R{access.index} invalid mem access '{pointer.type_name}'", register=access.index, pointer=pointer
        )
    return checker(explorer, access)


#: What messages call a misaligned access.
_DESCRIPTIONS: Final = {
    Kind.FLOW_KEYS: "flow keys ",
    Kind.MAP_KEY: "key ",
    Kind.MAP_VALUE: "value ",
    Kind.CONTEXT: "context ",
    _STACK: "stack ",
    Kind.SOCKET: "sock ",
    Kind.SOCK_COMMON: "sock_common ",
    Kind.TCP_SOCK: "tcp_sock ",
    Kind.XDP_SOCK: "xdp_sock ",
}
_PACKET_ALIGNMENT: Final = 2


def check_alignment(explorer: Explorer, access: Access) -> None:
    """Refuse an access that is not aligned to its size, where that is asked for."""
    pointer = access.pointer
    strict = access.strict or explorer.context.strict_alignment or pointer.kind is _STACK
    if not strict or access.size == 1 or pointer.kind is _ARENA:
        return
    fixed = pointer.offset + access.offset
    if pointer.kind in (_PACKET, _PACKET_META):
        place = tnum.add(pointer.scalar.bits, tnum.constant(_PACKET_ALIGNMENT + fixed))
        if not tnum.is_aligned(place, access.size):
            raise Rejection(
                f"misaligned packet access off {_PACKET_ALIGNMENT}+{tnum_text(pointer.scalar.bits)}+{pointer.offset}"
                f"+{access.offset} size {access.size}",
                register=access.index,
            )
        return
    place = tnum.add(pointer.scalar.bits, tnum.constant(fixed))
    if not tnum.is_aligned(place, access.size):
        raise Rejection(
            f"misaligned {_DESCRIPTIONS.get(pointer.kind, '')}access off {tnum_text(pointer.scalar.bits)}"
            f"+{pointer.offset}+{access.offset} size {access.size}",
            register=access.index,
            size=access.size,
        )


# One checker a kind.


def check_region(
    explorer: Explorer, index: int, pointer: Register, offset: int, size: int, limit: int, zero_size: bool = False
) -> None:
    """Refuse an access to a region of ``limit`` bytes unless it lies inside, wherever the pointer may be."""
    scalar = pointer.scalar
    if scalar.smin < 0 and (
        scalar.smin == S64_MIN or not -(1 << 31) <= offset + scalar.smin < 1 << 31 or scalar.smin + offset < 0
    ):
        raise Rejection(
            f"R{index} min value is negative, either use unsigned index or do a if (index >=0) check.",
            register=index,
        )
    outside = "value is outside of the allowed memory range"
    _check_inside(index, pointer, scalar.smin + offset, size, limit, zero_size, f"min {outside}")
    if scalar.umax >= OFFSET_LIMIT:
        raise Rejection(
            f"R{index} unbounded memory access, make sure to bounds check any such access", register=index
        )
    _check_inside(index, pointer, scalar.umax + offset, size, limit, zero_size, f"max {outside}")


def _check_inside(
    index: int, pointer: Register, offset: int, size: int, limit: int, zero_size: bool, otherwise: str
) -> None:
    if offset >= 0 and (size > 0 or (size == 0 and zero_size)) and offset + size <= limit:
        return
    match pointer.kind:
        case Kind.MAP_KEY:
            detail = f"invalid access to map key, key_size={limit} off={offset} size={size}"
        case Kind.MAP_VALUE:
            detail = f"invalid access to map value, value_size={limit} off={offset} size={size}"
        case Kind.PACKET | Kind.PACKET_META | Kind.PACKET_END:
            detail = (
                f"invalid access to packet, off={offset} size={size}, "
                f"R{index}(id={pointer.id},off={offset},r={limit})"
            )
        case _:
            detail = f"invalid access to memory, mem_size={limit} off={offset} size={size}"
    raise Rejection(
        f"R{index} {otherwise}",
        detail,
        register=index,
        pointer=pointer,
        offset=offset,
        size=size,
        limit=limit,
    )


def _check_stack(explorer: Explorer, access: Access) -> Register | None:
    offset = access.offset + access.pointer.offset
    if access.value is not None:
        stack_access.store(explorer, access.index, access.pointer, offset, access.size, access.value, access.source)
        return None
    return stack_access.load(explorer, access.index, access.pointer, offset, access.size)


def check_map_value(
    explorer: Explorer,
    index: int,
    pointer: Register,
    offset: int,
    size: int,
    store: bool,
    zero_size: bool = False,
    *,
    by_helper: bool = True,
) -> SpecialField | None:
    """Refuse an access to a map value that the map does not permit; ``offset`` with the fixed part of the pointer.

    Gives the field that holds a pointer to an object if it is that, as a whole.
    """
    map = pointer.subject
    assert isinstance(map, MapFacts)
    if not (map.writable if store else map.readable):
        way = "write into" if store else "read from"
        raise Rejection(
            f"{way} map forbidden, value_size={map.value_size} off={offset} size={size}",
            register=index,
            map=map.name,
        )
    check_region(explorer, index, pointer, offset, size, map.value_size, zero_size)
    for field in map.fields.all:
        if (
            pointer.scalar.smin + offset < field.offset + field.size
            and field.offset < pointer.scalar.umax + offset + size
        ):
            if not field.is_pointer:
                raise Rejection(f"{field.name} cannot be accessed directly by load/store", map=map.name, field=field)
            kptrs.check_overlap(field, pointer, offset, size, by_helper=by_helper, map=map)
            return field
    return None


def _check_map_value(explorer: Explorer, access: Access) -> Register | None:
    pointer = access.pointer
    map = pointer.subject
    assert isinstance(map, MapFacts)
    offset = access.offset + pointer.offset
    kept = check_map_value(explorer, access.index, pointer, offset, access.size, access.is_store, by_helper=False)
    if kept is not None:
        return kptrs.access(explorer, access, kept)
    if map.constant is not None and not access.is_store and pointer.scalar.is_constant:
        start = offset + pointer.scalar.value
        found = map.constant[start : start + access.size]
        return number(constant(int.from_bytes(found, explorer.context.byte_order)))
    return None


def _check_map_key(explorer: Explorer, access: Access) -> Register | None:
    pointer = access.pointer
    if access.is_store:
        raise Rejection(f"write to change key R{access.index} not allowed", register=access.index)
    check_region(explorer, access.index, pointer, access.offset + pointer.offset, access.size, pointer.extent)
    return None


def _check_context(explorer: Explorer, access: Access) -> Register | None:
    from skep.verifier.contexts.access import context_access

    check_unmodified(access.index, access.pointer)
    return context_access(explorer, access)


def check_unmodified(index: int, pointer: Register, fixed_offset_allowed: bool = False) -> None:
    """Refuse a pointer that something was added to."""
    name = pointer.type_name
    if pointer.offset < 0:
        raise Rejection(f"negative offset {name} ptr R{index} off={pointer.offset} disallowed", register=index)
    if pointer.offset and not fixed_offset_allowed:
        raise Rejection(
            f"dereference of modified {name} ptr R{index} off={pointer.offset} disallowed", register=index
        )
    if not pointer.scalar.is_constant or pointer.scalar.value:
        raise Rejection(f"variable {name} access var_off={tnum_text(pointer.scalar.bits)} disallowed", register=index)


_PACKET_READERS: Final = frozenset(
    {
        ProgramType.LWT_IN,
        ProgramType.LWT_OUT,
        ProgramType.LWT_SEG6LOCAL,
        ProgramType.SK_REUSEPORT,
        ProgramType.FLOW_DISSECTOR,
        ProgramType.CGROUP_SKB,
    }
)
_PACKET_WRITERS: Final = frozenset(
    {
        ProgramType.SCHED_CLS,
        ProgramType.SCHED_ACT,
        ProgramType.XDP,
        ProgramType.LWT_XMIT,
        ProgramType.SK_SKB,
        ProgramType.SK_MSG,
        ProgramType.CGROUP_SOCKOPT,
    }
)


def may_access_packet(program: ProgramType, *, store: bool) -> bool:
    """Whether programs of this type may read, or write, packets directly."""
    return program in _PACKET_WRITERS or (not store and program in _PACKET_READERS)


def _check_packet(explorer: Explorer, access: Access) -> Register | None:
    if access.is_store and not may_access_packet(explorer.context.type, store=True):
        raise Rejection("cannot write into packet")
    check_packet(access.index, access.pointer, access.offset + access.pointer.offset, access.size)
    return None


def check_packet(index: int, pointer: Register, offset: int, size: int, zero_size: bool = False) -> None:
    """Refuse an access to bytes of the packet that no comparison with its end has shown to be there."""
    if pointer.scalar.smin < 0:
        raise Rejection(
            f"R{index} min value is negative, either use unsigned index or do a if (index >=0) check.",
            register=index,
        )
    if pointer.extent < 0:
        raise Rejection(f"R{index} offset is outside of the packet", register=index, pointer=pointer)
    _check_inside(index, pointer, offset, size, pointer.extent, zero_size, "offset is outside of the packet")


def _check_map(explorer: Explorer, access: Access) -> Register | None:
    from skep.verifier.maps.map_structures import structure_access

    return structure_access(explorer, access)


_FLOW_KEYS_SIZE: Final = 56


def _check_flow_keys(explorer: Explorer, access: Access) -> Register | None:
    offset = access.offset + access.pointer.offset
    if offset < 0 or offset + access.size > _FLOW_KEYS_SIZE:
        raise Rejection(f"invalid access to flow keys off={offset} size={access.size}", register=access.index)
    return None


def _check_memory(explorer: Explorer, access: Access) -> Register | None:
    pointer = access.pointer
    if access.is_store and pointer.flags & READ_ONLY:
        raise Rejection(f"R{access.index} cannot write into {pointer.type_name}", register=access.index)
    check_region(explorer, access.index, pointer, access.offset + pointer.offset, access.size, pointer.extent)
    return None


def _check_untrusted_memory(access: Access) -> Register | None:
    """Memory that may not be there: a load that faults gives zero, so that any place may be read."""
    if access.is_store:
        raise Rejection(f"R{access.index} cannot write into {access.pointer.type_name}", register=access.index)
    return None


def _check_arena(explorer: Explorer, access: Access) -> Register | None:
    """A pointer into an arena may be used wherever it points: there are guards around, and faults read as zero."""
    return None


def _check_buffer(explorer: Explorer, access: Access) -> Register | None:
    """A buffer whose size is held against the program's accesses when it is attached."""
    pointer = access.pointer
    if access.is_store and pointer.flags & READ_ONLY:
        raise Rejection(f"R{access.index} cannot write into {pointer.type_name}", register=access.index)
    check_buffer(access.index, pointer, access.offset, access.size)
    return None


def check_buffer(index: int, pointer: Register, offset: int, size: int) -> None:
    """Refuse an access to a buffer at a negative offset, or at one that is not known."""
    place = offset + pointer.offset
    if place < 0:
        way = "rdonly" if pointer.flags & READ_ONLY else "rdwr"
        if pointer.kind is _TRACEPOINT_BUFFER:
            way = "tracepoint"
        raise Rejection(f"R{index} invalid {way} buffer access: off={place}, size={size}", register=index)
    if not pointer.scalar.is_constant or pointer.scalar.value:
        raise Rejection(
            f"R{index} invalid variable buffer offset: off={place}, var_off={tnum_text(pointer.scalar.bits)}",
            register=index,
        )


def _check_socket(explorer: Explorer, access: Access) -> Register | None:
    from skep.verifier.contexts.sockets import socket_access

    return socket_access(explorer, access)


_Checker = Callable[["Explorer", Access], Register | None]

_CHECKERS: Final[dict[Kind, _Checker]] = {
    _STACK: _check_stack,
    Kind.MAP_VALUE: _check_map_value,
    Kind.MAP_KEY: _check_map_key,
    Kind.CONTEXT: _check_context,
    Kind.PACKET: _check_packet,
    Kind.PACKET_META: _check_packet,
    Kind.FLOW_KEYS: _check_flow_keys,
    Kind.MEMORY: _check_memory,
    Kind.BUFFER: _check_buffer,
    Kind.TRACEPOINT_BUFFER: _check_buffer,
    Kind.ARENA: _check_arena,
    Kind.MAP: _check_map,
    Kind.SOCKET: _check_socket,
    Kind.SOCK_COMMON: _check_socket,
    Kind.TCP_SOCK: _check_socket,
    Kind.XDP_SOCK: _check_socket,
}
