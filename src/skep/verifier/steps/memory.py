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
    NOTHING,
    Kind,
    Register,
    number,
)
from skep.verifier.states.state import LOST, R10
from skep.verifier.steps.accesses import Access, check, check_alignment
from skep.verifier.steps.checks import readable, writable

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer, Instruct


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


def _check_atomic_store(index: int, pointer: Register) -> None:
    if pointer.kind in _NO_ATOMICS:
        raise Rejection(
            f"BPF_ATOMIC stores into R{index} {pointer.type_name} is not allowed", register=index, pointer=pointer
        )


def _check_atomic_load(index: int, pointer: Register) -> None:
    if pointer.kind in _NO_ATOMICS:
        raise Rejection(
            f"BPF_ATOMIC loads from R{index} {pointer.type_name} is not allowed", register=index, pointer=pointer
        )


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
        explorer.used = None
        result = check(explorer, Access(src, pointer, offset, size, strict=is_acquire))
        if result is None:
            result = ANY_NUMBER
        if size < 8:
            if result.kind is _SCALAR:
                scalar = result.scalar
                value = sign_extended(scalar, size) if is_signed else zero_extended(scalar, size)
                if value is not scalar:
                    result = number(value, result.id, result.flags, result.offset)
            elif is_signed:
                # Pointers to packets are four bytes of the context, and have no sign.
                raise Rejection(
                    f"invalid bpf_context access off={offset} size={size}", offset=offset, size=size, store=False
                )
        _check_same_kind(explorer, pointer)
        if is_acquire:
            _check_atomic_load(src, pointer)
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
        explorer.used = None
        if pointer.kind is _STACK:
            if not (pointer.scalar.is_constant and (offset + pointer.offset) % size == 0):
                check_alignment(explorer, Access(dst, pointer, offset, size))
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
        if is_release:
            _check_atomic_store(dst, pointer)
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
        _check_atomic_store(dst, pointer)
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
