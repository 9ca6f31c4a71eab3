"""Loads, stores and atomic updates: what they do to registers and to the stack, once ``accesses`` has permitted them.

Messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.isa.instruction import Instruction
from skep.isa.meaning import Atomic, Load, LoadAcquire, Store, StoreRelease
from skep.isa.row import Row
from skep.verifier.answers.text import tnum_text
from skep.verifier.numbers.arithmetic import constant_operand, sign_extended, zero_extended
from skep.verifier.rejection import Rejection
from skep.verifier.stack import stack_access
from skep.verifier.states.register import (
    ANY_NUMBER,
    MAYBE_NULL,
    NOTHING,
    Kind,
    Register,
    number,
)
from skep.verifier.states.state import LOST, R10
from skep.verifier.steps.accesses import Access, check, check_alignment
from skep.verifier.steps.checks import readable, writable
from skep.verifier.steps.step import REMEMBERED, Step

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


_ARENA: Final = Kind.ARENA
_CONTEXT: Final = Kind.CONTEXT
_MEMORY: Final = Kind.MEMORY
_OBJECT: Final = Kind.OBJECT

_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK


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


#: Kinds of which a plain load is told not to trust what it reads through.
_READ_WITH_CARE: Final = frozenset({_MEMORY, _OBJECT})


class _Accessing(Step):
    """A step that accesses memory. Linux rewrites accesses through a context and the like, so that one instruction
    cannot serve two kinds of pointer. A plain load serves objects of the kernel and other memory, however trusted:
    what may not be there is then read with care on all ways.
    """

    __slots__ = ("_flags", "_kind")

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._flags = 0

    def _check_same_kind(self, pointer: Register, *, is_plain_load: bool = False) -> None:
        before, kind = self._kind, pointer.kind
        if before is kind and (is_plain_load or kind is not _OBJECT or pointer.flags == self._flags):
            return
        if before is None:
            self._kind, self._flags = kind, pointer.flags
        elif is_plain_load and before in _READ_WITH_CARE and kind in _READ_WITH_CARE:
            self._kind = _MEMORY
        elif not (before in _MIXABLE and kind in _MIXABLE):
            raise Rejection("same insn cannot be used with different pointers", kinds=(before, kind))


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


def _check_atomic_store(index: int, pointer: Register) -> None:
    if pointer.kind in _NO_ATOMICS and not pointer.flags & MAYBE_NULL:
        raise Rejection(
            f"BPF_ATOMIC stores into R{index} {pointer.type_name} is not allowed", register=index, pointer=pointer
        )


def _check_atomic_load(index: int, pointer: Register) -> None:
    if pointer.kind in _NO_ATOMICS and not pointer.flags & MAYBE_NULL:
        raise Rejection(
            f"BPF_ATOMIC loads from R{index} {pointer.type_name} is not allowed", register=index, pointer=pointer
        )


#: Kinds of memory of which a load gives what the pointer alone decides, if that is a number or has no id.
_STEADY: Final = frozenset({Kind.PACKET, Kind.PACKET_META, Kind.MAP_VALUE, Kind.MAP_KEY, Kind.MEMORY, Kind.CONTEXT})


def _is_steady(kind: Kind, loaded: Register) -> bool:
    return kind in _STEADY and not loaded.id and (loaded.kind is _SCALAR or kind is _CONTEXT)


def load(instruction: Instruction, row: Row, slot: int) -> Step:
    """The step of a load into a register."""
    assert isinstance(row.meaning, Load | LoadAcquire)
    return _Load(instruction, slot, row.meaning)


class _Load(_Accessing):
    """A load into a register."""

    __slots__ = ("_behind", "_dst", "_is_acquire", "_is_signed", "_known", "_offset", "_places", "_size", "_src")

    def __init__(self, instruction: Instruction, slot: int, meaning: Load | LoadAcquire) -> None:
        super().__init__()
        self._dst: Final = instruction.dst
        self._src: Final = instruction.src
        self._offset: Final = instruction.offset
        self._size: Final = meaning.size
        self._is_signed: Final = isinstance(meaning, Load) and meaning.is_signed
        self._is_acquire: Final = isinstance(meaning, LoadAcquire)
        self._behind: Final = slot + 1
        #: What was loaded through pointers that always give the same; who watches is told of every access.
        self._known: dict[Register, Register] = {}
        #: Where on the stack pointers point.
        self._places: dict[Register, stack_access.Place] = {}

    def follow(self, explorer: Explorer) -> int:
        """Check the access, and set the register to what is known of what lies there."""
        dst = self._dst
        registers = explorer.registers
        pointer = registers[self._src]
        known = self._known.get(pointer)
        if known is None:
            place = self._places.get(pointer)
            if place is None:
                registers[dst] = self._loaded(explorer, pointer)
                explorer.sources[dst] = _source_of_used(explorer)
                return self._behind
            explorer.used = None
            known = self._extended(stack_access.load_from(explorer, self._src, place))
            registers[dst] = known
            explorer.sources[dst] = _source_of_used(explorer)
            return self._behind
        registers[dst] = known
        explorer.sources[dst] = 0
        return self._behind

    def _loaded(self, explorer: Explorer, pointer: Register) -> Register:
        src, size = self._src, self._size
        if pointer is NOTHING or self._dst == R10:
            readable(explorer, src)
            writable(explorer, self._dst)
        explorer.used = None
        result = check(explorer, Access(src, pointer, self._offset, size, strict=self._is_acquire))
        if pointer.kind is _ARENA and self._is_signed and not explorer.rules.arena_signs:
            raise Rejection("sign extending loads from arena are not supported yet", register=src)
        if result is None:
            result = ANY_NUMBER
        if self._is_signed and size < 8 and result.kind is not _SCALAR:
            # Pointers to packets are four bytes of the context, and have no sign.
            raise Rejection(
                f"invalid bpf_context access off={self._offset} size={size}",
                offset=self._offset,
                size=size,
                store=False,
            )
        result = self._extended(result)
        self._check_same_kind(pointer, is_plain_load=not self._is_acquire)
        if self._is_acquire:
            _check_atomic_load(src, pointer)
        kind = pointer.kind
        if kind is _STACK:
            place = stack_access.place_of(pointer, self._offset, size)
            if place is not None:
                if len(self._places) >= REMEMBERED:
                    self._places.clear()
                self._places[pointer] = place
        elif explorer.observer is None and _is_steady(kind, result):
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[pointer] = result
        return result

    def _extended(self, loaded: Register) -> Register:
        size = self._size
        if size == 8 or loaded.kind is not _SCALAR:
            return loaded
        scalar = loaded.scalar
        value = sign_extended(scalar, size) if self._is_signed else zero_extended(scalar, size)
        return loaded if value is scalar else number(value, loaded.id, loaded.flags, loaded.offset)


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


def store(instruction: Instruction, row: Row, slot: int) -> Step:
    """The step of a store of a register or an immediate."""
    assert isinstance(row.meaning, Store | StoreRelease)
    return _Store(instruction, slot, row.meaning, row.operand == "src")


class _Store(_Accessing):
    """A store of a register, or of an immediate (``_value``)."""

    __slots__ = ("_behind", "_dst", "_is_release", "_offset", "_places", "_size", "_source", "_value")

    def __init__(self, instruction: Instruction, slot: int, meaning: Store | StoreRelease, by_register: bool) -> None:
        super().__init__()
        self._dst: Final = instruction.dst
        #: The register stored; negative for an immediate.
        self._source: Final = instruction.src if by_register else -1
        self._value: Final = number(constant_operand(instruction.imm))
        self._offset: Final = instruction.offset
        self._size: Final = meaning.size
        self._is_release: Final = isinstance(meaning, StoreRelease)
        self._behind: Final = slot + 1
        #: Where on the stack pointers point.
        self._places: dict[Register, stack_access.Place] = {}

    def follow(self, explorer: Explorer) -> int:
        """Check the access, and note what lies on the stack now, if it is a store there."""
        dst, source = self._dst, self._source
        registers = explorer.registers
        pointer = registers[dst]
        value = registers[source] if source >= 0 else self._value
        explorer.used = None
        place = self._places.get(pointer)
        if place is not None and value is not NOTHING:
            stack_access.store_at(explorer, place, value, source)
        else:
            self._store(explorer, pointer, value)
        _stored(explorer, dst, explorer.sources[source] if source >= 0 else 0)
        return self._behind

    def _store(self, explorer: Explorer, pointer: Register, value: Register) -> None:
        dst, source, offset, size = self._dst, self._source, self._offset, self._size
        if source >= 0:
            readable(explorer, source)
        readable(explorer, dst)
        access = Access(dst, pointer, offset, size, value, source, strict=self._is_release)
        if pointer.kind is _STACK:
            check_alignment(explorer, access)
            stack_access.store(explorer, dst, pointer, offset + pointer.offset, size, value, source)
            place = stack_access.place_of(pointer, offset, size)
            if place is not None:
                if len(self._places) >= REMEMBERED:
                    self._places.clear()
                self._places[pointer] = place
        else:
            explorer.liveness.wrote(explorer.state, explorer.index, 0)
            if pointer.kind is _CONTEXT and source < 0 and not explorer.rules.stores_to_context:
                raise Rejection(f"BPF_ST stores into R{dst} ctx is not allowed", register=dst)
            check(explorer, access)
        self._check_same_kind(pointer)
        if self._is_release:
            _check_atomic_store(dst, pointer)


def atomic(instruction: Instruction, row: Row) -> Step:
    """The step of an atomic read-modify-write."""
    assert isinstance(row.meaning, Atomic)
    return _Atomic(instruction, row.meaning)


class _Atomic(_Accessing):
    """An atomic read-modify-write; ``_result`` is the register that gets what was there before, negative for none."""

    __slots__ = ("_dst", "_offset", "_operation", "_result", "_size", "_src")

    def __init__(self, instruction: Instruction, meaning: Atomic) -> None:
        super().__init__()
        self._operation: Final = meaning.operation
        self._dst: Final = instruction.dst
        self._src: Final = instruction.src
        self._offset: Final = instruction.offset
        self._size: Final = meaning.size
        self._result: Final = -1 if meaning.result is None else 0 if meaning.result == "r0" else instruction.src

    def follow(self, explorer: Explorer) -> int:
        """Check both accesses, and forget what was there."""
        dst, src, offset, size, result = self._dst, self._src, self._offset, self._size, self._result
        registers = explorer.registers
        readable(explorer, src)
        readable(explorer, dst)
        if self._operation == "cmpxchg":
            readable(explorer, 0)
        pointer = registers[dst]
        _check_atomic_store(dst, pointer)
        if pointer.kind is _ARENA and result >= 0 and self._operation in _LOOPS_ON_X86:
            raise Rejection(f"BPF_ATOMIC stores into R{dst} arena is not allowed", register=dst, pointer=pointer)
        if result >= 0:
            writable(explorer, result)
        explorer.used = None
        access = Access(dst, pointer, offset, size, strict=True)
        if pointer.kind is _STACK and not pointer.scalar.is_constant:
            _refuse_somewhere_on_stack(explorer, access)
        loaded = check(explorer, access)
        source = _source_of_used(explorer)
        # A store of any number: the old contents decide what it is.
        check(explorer, Access(dst, pointer, offset, size, _ANYTHING, strict=True))
        if pointer.kind is _STACK and pointer.scalar.is_constant:
            _spoil(explorer, pointer, offset + pointer.offset, size)
        _stored(explorer, dst, explorer.sources[src])
        if result >= 0:
            value = ANY_NUMBER if loaded is None else loaded
            if size < 8 and value.kind is _SCALAR:
                value = number(zero_extended(value.scalar, size), value.id, value.flags, value.offset)
            registers[result] = value
            # Linux goes on tracing what was exchanged or added too.
            explorer.sources[result] |= source
        self._check_same_kind(pointer)
        return explorer.index + 1


def _refuse_somewhere_on_stack(explorer: Explorer, access: Access) -> None:
    """Refuse to update a place on the stack that is not known, as Linux does: what is there stays unknown."""
    pointer, offset = access.pointer, access.offset + access.pointer.offset
    check_alignment(explorer, access)
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
