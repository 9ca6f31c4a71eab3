"""Loads and stores: which kind of memory a register points to decides what may be done with it.

One checker for each kind of pointer, in a table. A checker refuses the access or gives what a load of it leaves in a
register. Messages were observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skep.isa.instruction import Instruction
from skep.isa.meaning import Atomic, Load, LoadAcquire, Store, StoreRelease
from skep.isa.row import Row
from skep.objects.kinds import ProgramType
from skep.verifier import allocated, kernel_objects, kptrs, stack_access, tnum
from skep.verifier.arithmetic import constant_operand, sign_extended, zero_extended
from skep.verifier.checks import readable, writable
from skep.verifier.map_fields import SpecialField
from skep.verifier.maps import MapFacts
from skep.verifier.register import (
    ALLOCATED,
    ANY_NUMBER,
    MAYBE_NULL,
    NOTHING,
    READ_ONLY,
    UNTRUSTED,
    Kind,
    Register,
    number,
)
from skep.verifier.rejection import Rejection
from skep.verifier.scalar import S64_MIN, constant
from skep.verifier.state import LOST, R10
from skep.verifier.structure import OFFSET_LIMIT
from skep.verifier.text import tnum_text

if TYPE_CHECKING:
    from skep.verifier.exploration import Explorer, Instruct


_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK


@dataclass(slots=True)
class Access:
    """One access: ``size`` bytes at ``offset`` from where register ``index`` points.

    ``source`` is the register stored, None for an immediate; ``value`` what is stored, None for a load. ``offset``
    is that of the instruction: the pointer's own parts are not in it.
    """

    index: int
    pointer: Register
    offset: int
    size: int
    value: Register | None = None
    source: int | None = None
    strict: bool = False

    @property
    def is_store(self) -> bool:
        """Whether it writes."""
        return self.value is not None


def load(instruction: Instruction, row: Row) -> Instruct:
    """The step of a load into a register."""
    assert isinstance(row.meaning, Load | LoadAcquire)
    dst, src, offset, size = instruction.dst, instruction.src, instruction.offset, row.meaning.size
    is_signed = isinstance(row.meaning, Load) and row.meaning.is_signed
    is_acquire = isinstance(row.meaning, LoadAcquire)

    def step(explorer: Explorer) -> None:
        registers = explorer.registers
        pointer = registers[src]
        if pointer is NOTHING or dst == R10:
            readable(explorer, src)
            writable(explorer, dst)
        if is_acquire:
            _check_atomic_pointer(explorer, src, pointer)
        explorer.used = None
        result = check(explorer, Access(src, pointer, offset, size, strict=is_acquire))
        if result is None:
            result = ANY_NUMBER
        if size < 8 and result.kind is _SCALAR:
            scalar = result.scalar
            value = sign_extended(scalar, size) if is_signed else zero_extended(scalar, size)
            if value is not scalar:
                result = number(value, result.id, result.flags, result.offset)
        _check_same_kind(explorer, pointer)
        registers[dst] = result
        explorer.sources[dst] = _source_of_used(explorer)
        explorer.next = explorer.index + 1

    return step


def _source_of_used(explorer: Explorer) -> int:
    """Where the number came from that the running load found on the stack; nowhere, if it found none."""
    used = explorer.used
    return 0 if used is None else explorer.state.frames[used[0]].source_of_slot(used[1])


def _stored(explorer: Explorer, dst: int, source: int) -> None:
    """A store through ``dst`` is done: what it left on the stack came from ``source``."""
    if dst != R10:
        explorer.sources[dst] |= LOST
    used = explorer.used
    if used is not None:
        explorer.state.frames[used[0]].slot_sources[used[1]] = source


def store(instruction: Instruction, row: Row) -> Instruct:
    """The step of a store of a register or an immediate."""
    assert isinstance(row.meaning, Store | StoreRelease)
    dst, src, offset, size = instruction.dst, instruction.src, instruction.offset, row.meaning.size
    by_register = row.operand == "src"
    immediate = number(constant_operand(instruction.imm))
    is_release = isinstance(row.meaning, StoreRelease)

    def step(explorer: Explorer) -> None:
        registers = explorer.registers
        if by_register:
            readable(explorer, src)
        readable(explorer, dst)
        pointer = registers[dst]
        if is_release:
            _check_atomic_pointer(explorer, dst, pointer)
        explorer.used = None
        if pointer.kind is _STACK:
            if not (pointer.scalar.is_constant and (offset + pointer.offset) % size == 0):
                _check_alignment(explorer, Access(dst, pointer, offset, size))
            value = registers[src] if by_register else immediate
            source = src if by_register else None
            stack_access.store(explorer, dst, pointer, offset + pointer.offset, size, value, source)
        else:
            explorer.liveness.wrote(explorer.state, explorer.index, 0)
            value = registers[src] if by_register else immediate
            check(
                explorer,
                Access(dst, pointer, offset, size, value, src if by_register else None, strict=is_release),
            )
        _check_same_kind(explorer, pointer)
        _stored(explorer, dst, explorer.sources[src] if by_register else 0)
        explorer.next = explorer.index + 1

    return step


def atomic(instruction: Instruction, row: Row) -> Instruct:
    """The step of an atomic read-modify-write."""
    assert isinstance(row.meaning, Atomic)
    meaning = row.meaning
    dst, src, offset, size = instruction.dst, instruction.src, instruction.offset, meaning.size
    result = None if meaning.result is None else 0 if meaning.result == "r0" else src

    def step(explorer: Explorer) -> None:
        registers = explorer.registers
        readable(explorer, src)
        readable(explorer, dst)
        if meaning.operation == "cmpxchg":
            readable(explorer, 0)
        pointer = registers[dst]
        _check_atomic_pointer(explorer, dst, pointer)
        if pointer.kind is Kind.ARENA and result is not None and meaning.operation in _LOOPS_ON_X86:
            raise Rejection(f"BPF_ATOMIC stores into R{dst} arena is not allowed", register=dst, pointer=pointer)
        if result is not None:
            writable(explorer, result)
        explorer.used = None
        access = Access(dst, pointer, offset, size, strict=True)
        if pointer.kind is _STACK and not pointer.scalar.is_constant:
            _refuse_somewhere_on_stack(explorer, access)
        loaded = check(explorer, access)
        source = _source_of_used(explorer)
        # A store of any number: the old contents decide what it is.
        check(explorer, Access(dst, pointer, offset, size, _ANYTHING, None, strict=True))
        if pointer.kind is _STACK and pointer.scalar.is_constant:
            _spoil(explorer, pointer, offset + pointer.offset, size)
        _stored(explorer, dst, explorer.sources[src])
        if result is not None:
            value = ANY_NUMBER if loaded is None else loaded
            if size < 8 and value.kind is _SCALAR:
                value = number(zero_extended(value.scalar, size), value.id, value.flags, value.offset)
            registers[result] = value
            # Linux goes on tracing what was exchanged or added too.
            explorer.sources[result] |= source
        _check_same_kind(explorer, pointer)
        explorer.next = explorer.index + 1

    return step


def _refuse_somewhere_on_stack(explorer: Explorer, access: Access) -> None:
    """Refuse to update a place on the stack that is not known, as Linux does: what is there stays unknown."""
    pointer, offset = access.pointer, access.offset + access.pointer.offset
    _check_alignment(explorer, access)
    stack_access.bounds(explorer, access.index, pointer, offset, access.size, " read from")
    raise Rejection(
        "variable offset stack pointer cannot be passed into helper function; "
        f"var_off={tnum_text(pointer.scalar.bits)} off={offset} size={access.size}",
        register=access.index,
        pointer=pointer,
    )


_ANYTHING: Final = ANY_NUMBER


def _spoil(explorer: Explorer, pointer: Register, offset: int, size: int) -> None:
    """After an atomic update bytes of the stack are anything, and no register is spilled there."""
    frame = explorer.state.frames[pointer.frame]
    start = offset + pointer.scalar.value - (1 << 64 if pointer.scalar.value >> 63 else 0)
    stack_access.store_bytes(explorer, frame, start, start + size)


def check(explorer: Explorer, access: Access) -> Register | None:
    """Refuse an access, or give what a load leaves in a register (None: any number)."""
    pointer = access.pointer
    _check_alignment(explorer, access)
    if pointer.kind is Kind.OBJECT and not pointer.flags & MAYBE_NULL:
        if pointer.flags & ALLOCATED:
            return allocated.access(explorer, access)
        return kernel_objects.access(explorer, access)
    checker = None if pointer.flags & (MAYBE_NULL | UNTRUSTED) else _CHECKERS.get(pointer.kind)
    if checker is None:
        if pointer.kind is Kind.MEMORY and pointer.flags & UNTRUSTED and not pointer.flags & MAYBE_NULL:
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


def _check_alignment(explorer: Explorer, access: Access) -> None:
    pointer = access.pointer
    strict = access.strict or explorer.context.strict_alignment or pointer.kind is _STACK
    if not strict or access.size == 1 or pointer.kind is Kind.ARENA:
        return
    fixed = pointer.offset + access.offset
    if pointer.kind in (Kind.PACKET, Kind.PACKET_META):
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


#: Kinds that one instruction may be used with beside others.
_MIXABLE: Final = frozenset(
    {
        _SCALAR,
        Kind.MAP_VALUE,
        Kind.MAP_KEY,
        _STACK,
        Kind.PACKET,
        Kind.PACKET_META,
        Kind.FLOW_KEYS,
        Kind.MEMORY,
        Kind.BUFFER,
        Kind.TRACEPOINT_BUFFER,
    }
)


def _check_same_kind(explorer: Explorer, pointer: Register) -> None:
    """Accesses through context and the like are rewritten, so one instruction cannot serve two kinds."""
    kinds = explorer.context.access_kinds
    here = explorer.index
    before = kinds.get(here)
    if before is None:
        kinds[here] = pointer.kind
    elif before is not pointer.kind and not (before in _MIXABLE and pointer.kind in _MIXABLE):
        raise Rejection("same insn cannot be used with different pointers", kinds=(before, pointer.kind))


_NO_ATOMICS: Final = frozenset(
    {
        Kind.CONTEXT,
        Kind.PACKET,
        Kind.PACKET_META,
        Kind.FLOW_KEYS,
        Kind.SOCKET,
        Kind.SOCK_COMMON,
        Kind.TCP_SOCK,
        Kind.XDP_SOCK,
    }
)


#: What the JIT of x86-64 does in a loop, and so cannot do where an access may fault.
_LOOPS_ON_X86: Final = frozenset({"and", "or", "xor"})


def _check_atomic_pointer(explorer: Explorer, index: int, pointer: Register) -> None:
    if pointer.kind in _NO_ATOMICS:
        raise Rejection(
            f"BPF_ATOMIC stores into R{index} {pointer.type_name} is not allowed", register=index, pointer=pointer
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
    from skep.verifier.contexts import context_access

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
    from skep.verifier.map_structures import structure_access

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
        if pointer.kind is Kind.TRACEPOINT_BUFFER:
            way = "tracepoint"
        raise Rejection(f"R{index} invalid {way} buffer access: off={place}, size={size}", register=index)
    if not pointer.scalar.is_constant or pointer.scalar.value:
        raise Rejection(
            f"R{index} invalid variable buffer offset: off={place}, var_off={tnum_text(pointer.scalar.bits)}",
            register=index,
        )


def _check_socket(explorer: Explorer, access: Access) -> Register | None:
    from skep.verifier.sockets import socket_access

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
