"""What every register and stack slot holds at every point of a program, across its functions.

A forward data-flow analysis over :mod:`kinds`: flow-sensitive in registers and in the 8-byte slots of the frame, and
joined over all calls of a function. It assumes nothing that a verified program could break: where it cannot tell, the
answer is a 64-bit number, which translation turns into an address when it is used as one.

A frame is *exposed* when an address in it leaves what is tracked (it is passed to a function, stored elsewhere, or
computed with): from then on any store through a pointer may change its slots. It is *flat* when some access does not
have a constant offset and a known size: then it has to stay one piece of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from skep.engines.jit.graph import (
    ALU,
    ALU64,
    CALL,
    CALLX,
    LD,
    LDDW,
    LDX,
    PSEUDO_CALL,
    PSEUDO_FUNCTION,
    ST,
    STX,
    Branch,
    Exit,
    Function,
)
from skep.engines.jit.kinds import MEMORY, Kind, Pointer, Target, is_frame, join
from skep.isa.instruction import Instruction, Instructions
from skep.objects.spec import KfuncReference, KsymReference, MapReference, Reference

#: Size of a memory access in bytes by bits 3 and 4 of its opcode.
SIZES = (4, 2, 1, 8)
FRAME_SIZE = 512
_FRAME = Pointer(Target.STACK, 0)
_EVERY = (1 << 11) - 1


class Known(int):
    """The kind of a number that is known, ``value``, in one block: sizes passed to helpers mostly are."""

    value: int


@dataclass(frozen=True, slots=True)
class CallEffect:
    """What a call of a helper does to what is known.

    ``sizes`` has, for each argument that may be an address, how many bytes the helper touches there, None if unknown.
    """

    returns: Kind
    sizes: Mapping[int, int | None]


class Environment(Protocol):
    """What the analysis has to know about the world of a program."""

    def entry_kinds(self) -> list[Kind]:
        """The kinds of r0 to r10 when the program starts; r10 is ignored."""

    def context_load(self, slot: int, offset: int | None, size: int) -> Kind:
        """The kind of what a load from the context gives; raises LoadError if it must not be."""

    def call_effect(self, slot: int, registers: list[Kind]) -> CallEffect:
        """The effect of the helper or kfunc call at ``slot``; raises UnsupportedError for what is not there."""


class State:
    """Kinds at one point: ``registers`` r0 to r10, ``slots`` by offset from r10, and which frame bytes are written.

    ``written`` has bit ``n`` set if the byte at ``r10 - 512 + n`` was written on every path.
    """

    __slots__ = ("registers", "slots", "written")

    def __init__(self, registers: list[Kind], slots: dict[int, Kind], written: int) -> None:
        self.registers = registers
        self.slots = slots
        self.written = written

    def copy(self) -> State:
        """An independent copy."""
        return State(self.registers.copy(), self.slots.copy(), self.written)


@dataclass(slots=True, eq=False)
class Summary:
    """What is known of a function as a whole. ``entries`` are the states at the start of its blocks."""

    function: Function
    parameters: list[Kind] = field(default_factory=lambda: [None] * 11)
    returns: Kind = None
    exposed: bool = False
    flat: bool = False
    spills_frames: bool = False
    entries: dict[int, State] = field(default_factory=dict)
    callers: set[int] = field(default_factory=set)


def _settled(kind: Kind) -> Kind:
    """``kind`` as it holds beyond the block: numbers are known inside one only."""
    return int(kind) if isinstance(kind, Known) else kind


def bits_of(number: int) -> int:
    """Significant bits of an immediate as a 64-bit number; a negative one has 64."""
    return number.bit_length() if number >= 0 else 64


class Inference:
    """The analysis of one program: :meth:`run` fills ``summaries``, :meth:`step` lets one instruction happen."""

    def __init__(
        self,
        instructions: Instructions,
        functions: Mapping[int, Function],
        references: Mapping[int, Reference],
        environment: Environment,
    ) -> None:
        self.instructions = instructions
        self.references = references
        self.environment = environment
        self.summaries = {start: Summary(function) for start, function in functions.items()}
        self._current = self.summaries[min(functions)]
        self.address_taken: set[int] = set()
        self._pending: list[int] = []

    def run(self) -> None:
        """Analyse everything that can be reached from the start of the program, until nothing changes."""
        start = min(self.summaries)
        self.summaries[start].parameters = self.environment.entry_kinds()
        self._pending = [start]
        while self._pending:
            self._function(self._pending.pop())
            if not self._pending:
                # Functions whose address is taken but that nothing is seen to call.
                unseen = [one for one in self.address_taken if not self.summaries[one].entries]
                for one in unseen:
                    self.summaries[one].parameters[1:6] = [64] * 5
                self._pending = unseen

    # One function.

    def _function(self, start: int) -> None:
        summary = self._current = self.summaries[start]
        while True:
            before = (summary.exposed, summary.flat, summary.spills_frames)
            self._blocks(summary)
            if (summary.exposed, summary.flat, summary.spills_frames) == before:
                return

    def _blocks(self, summary: Summary) -> None:
        function = summary.function
        place = {name: index for index, name in enumerate(function.order)}
        parameters = summary.parameters.copy()
        parameters[10] = _FRAME
        entries = summary.entries
        if function.start not in entries:
            entries[function.start] = State(parameters, {}, 0)
        else:
            self._merge(entries[function.start], State(parameters, {}, 0), _EVERY, summary)
        before = returns = summary.returns
        pending = set(entries)
        while pending:
            name = min(pending, key=place.__getitem__)
            pending.discard(name)
            block = function.blocks[name]
            state = entries[name].copy()
            for slot in block.body:
                self.step(state, slot)
            terminator = block.terminator
            if isinstance(terminator, Exit):
                kind = state.registers[0]
                if is_frame(kind):
                    summary.exposed = summary.flat = True
                    kind = MEMORY
                returns = join(returns, _settled(kind))
                continue
            if isinstance(terminator, Branch):
                self._compare(state, self.instructions[terminator.slot], summary)
            state.registers = [_settled(kind) for kind in state.registers]
            for successor in block.successors:
                known = entries.get(successor)
                live = function.blocks[successor].live
                if known is None:
                    fresh = entries[successor] = state.copy()
                    for number in range(10):
                        if not live >> number & 1:
                            fresh.registers[number] = None
                    pending.add(successor)
                elif self._merge(known, state, live, summary):
                    pending.add(successor)
        # A tail call in this function has added to what it returns meanwhile.
        returns = join(returns, summary.returns)
        if returns != summary.returns or returns != before:
            summary.returns = returns
            self._pending.extend(caller for caller in summary.callers if caller not in self._pending)

    def _merge(self, into: State, other: State, live: int, summary: Summary) -> bool:
        changed = False
        mine = into.registers
        for number, kind in enumerate(other.registers):
            old = mine[number]
            if old is kind or not live >> number & 1:
                continue
            new = join(old, kind)
            if new != old:
                mine[number] = new
                changed = True
            self._lost(old, kind, new, summary)
        slots = into.slots
        theirs = other.slots
        if summary.spills_frames and not summary.exposed:
            for offset, kind in [*slots.items(), *theirs.items()]:
                if is_frame(kind) and (offset not in slots or offset not in theirs):
                    summary.exposed = summary.flat = True
        if slots:
            for offset in list(slots):
                old = slots[offset]
                kind = theirs.get(offset, 64)
                if old is kind:
                    continue
                new = join(old, kind)
                if new != old:
                    changed = True
                    if new == 64:
                        del slots[offset]
                    else:
                        slots[offset] = new
                if old is not None and kind is not None and offset in theirs:
                    self._lost(old, kind, new, summary)
        written = into.written & other.written
        if written != into.written:
            into.written = written
            changed = True
        return changed

    @staticmethod
    def _lost(left: Kind, right: Kind, result: Kind, summary: Summary) -> None:
        """Note when the join of a frame address with something else makes it one that is no longer followed."""
        if (is_frame(left) or is_frame(right)) and left is not None and right is not None and left != right:
            summary.flat = True
            if not is_frame(result):
                summary.exposed = True

    def _compare(self, state: State, instruction: Instruction, summary: Summary) -> None:
        if is_frame(state.registers[instruction.dst]) or (
            instruction.opcode & 8 and is_frame(state.registers[instruction.src])
        ):
            summary.flat = True

    # One instruction.

    def enter(self, summary: Summary) -> None:
        """Make ``summary`` the function that :meth:`step` speaks of."""
        self._current = summary

    def step(self, state: State, slot: int) -> None:
        """Let the body instruction at ``slot`` happen to ``state``."""
        instruction = self.instructions[slot]
        opcode = instruction.opcode
        kind = opcode & 7
        registers = state.registers
        if kind in (ALU64, ALU):
            registers[instruction.dst] = self._arithmetic(registers, instruction)
        elif kind == LDX:
            registers[instruction.dst] = self._load(state, slot, instruction)
        elif kind in (ST, STX):
            self._store(state, instruction)
        elif opcode == LDDW:
            registers[instruction.dst] = self._wide(slot, instruction)
        elif kind == LD:
            registers[0] = 8 * SIZES[opcode >> 3 & 3]
            registers[1:6] = [None] * 5
        elif opcode in (CALL, CALLX):
            self._call(state, slot, instruction)

    def leaves(self) -> None:
        """The function may return a number here that is none of its own: a tail call."""
        if self._current.returns != 64:
            self._current.returns = join(self._current.returns, 64)

    def expose(self, kind: Kind) -> None:
        """The value of kind ``kind`` goes where it is not followed."""
        if is_frame(kind):
            self._current.exposed = self._current.flat = True

    def _arithmetic(self, registers: list[Kind], instruction: Instruction) -> Kind:
        opcode = instruction.opcode
        operation = opcode & 0xF0
        old = registers[instruction.dst]
        right: Kind = registers[instruction.src] if opcode & 8 else bits_of(instruction.imm)
        wide = opcode & 7 == ALU64
        if operation == 0xB0:
            if not opcode & 8 and instruction.imm >= 0:
                known = Known(right)  # type: ignore[arg-type]
                known.value = instruction.imm
                return known
            if wide:
                if not instruction.offset or instruction.offset == 1:
                    return right
                self.expose(right)
                return right if isinstance(right, int) and right < instruction.offset else 64
            self.expose(right)
            if instruction.offset:
                return right if isinstance(right, int) and right < instruction.offset else 32
            return min(right, 32) if isinstance(right, int) else 32
        if wide and isinstance(old, Pointer) and isinstance(right, int):
            if operation == 0x00:
                return self._moved(old, None if opcode & 8 else instruction.imm, right)
            if operation == 0x10:
                return self._moved(old, None if opcode & 8 else -instruction.imm, right)
        elif wide and operation == 0x00 and isinstance(right, Pointer) and isinstance(old, int):
            return self._moved(right, None, old)
        if operation != 0x80 and operation != 0xD0:
            self.expose(right)
        self.expose(old)
        limit = 64 if wide else 32
        if operation == 0xD0:
            return instruction.imm
        # Plain numbers of bits from here on: the result of an operation is no known number.
        a = int(min(old, limit)) if isinstance(old, int) else limit
        b = int(min(right, limit)) if isinstance(right, int) else limit
        return min(_bits(operation, a, b, limit, instruction), limit)

    def _moved(self, pointer: Pointer, distance: int | None, bits: int) -> Kind:
        if distance is None and bits == 0:
            return pointer
        target = pointer.target
        if target is Target.STACK or target is Target.CONTEXT:
            if distance is None or pointer.offset is None:
                if target is Target.STACK:
                    self._current.flat = True
                return Pointer(target)
            return Pointer(target, pointer.offset + distance)
        return MEMORY

    def _load(self, state: State, slot: int, instruction: Instruction) -> Kind:
        size = SIZES[instruction.opcode >> 3 & 3]
        pointer = state.registers[instruction.src]
        signed = instruction.opcode & 0xE0 == 0x80
        if isinstance(pointer, Pointer):
            if pointer.target is Target.CONTEXT:
                offset = None if pointer.offset is None else pointer.offset + instruction.offset
                kind = self.environment.context_load(slot, offset, size)
                return 64 if signed and isinstance(kind, int) else kind
            if pointer.target is Target.STACK:
                if pointer.offset is None:
                    self._current.flat = True
                elif size == 8:
                    return state.slots.get(pointer.offset + instruction.offset, 64)
        return 64 if signed else 8 * size

    def _store(self, state: State, instruction: Instruction) -> None:
        opcode = instruction.opcode
        registers = state.registers
        size = SIZES[opcode >> 3 & 3]
        pointer = registers[instruction.dst]
        value: Kind = registers[instruction.src] if opcode & 7 == STX else bits_of(instruction.imm)
        if opcode & 0xE7 == 0xC3:
            if instruction.imm == 0x100:
                pointer = registers[instruction.src]
                if is_frame(pointer) and pointer.offset is None:  # type: ignore[union-attr]
                    self._current.flat = True
                registers[instruction.dst] = 8 * size
                return
            self.expose(value)
            self._write(state, pointer, instruction.offset, size, None)
            if instruction.imm == 0xF1:
                self.expose(registers[0])
                registers[0] = 8 * size
            elif instruction.imm & 1 and instruction.imm != 0x110:
                registers[instruction.src] = 8 * size
            return
        self._write(state, pointer, instruction.offset, size, value)

    def _write(self, state: State, pointer: Kind, offset: int, size: int, value: Kind) -> None:
        if isinstance(pointer, Pointer) and pointer.target is Target.STACK:
            if pointer.offset is None:
                self._current.flat = True
                self.expose(value)
                state.slots.clear()
                return
            at = pointer.offset + offset
            _forget(state.slots, at, size)
            if size == 8 and value is not None:
                if value != 64:
                    state.slots[at] = _settled(value)
                    if is_frame(value):
                        self._current.spills_frames = True
            else:
                self.expose(value)
            state.written |= written_mask(at, size)
            return
        self.expose(value)
        if self._current.exposed:
            state.slots.clear()

    def _wide(self, slot: int, instruction: Instruction) -> Kind:
        reference = self.references.get(slot)
        if isinstance(reference, MapReference):
            return Pointer(Target.MAP, name=reference.map) if reference.offset is None else MEMORY
        if instruction.src == PSEUDO_FUNCTION:
            self.address_taken.add(slot + 1 + instruction.imm)
            return Pointer(Target.FUNCTION, slot + 1 + instruction.imm)
        if isinstance(reference, KsymReference | KfuncReference):
            return 0
        high = self.instructions[slot + 1].imm
        return bits_of(instruction.imm & 0xFFFFFFFF | (high & 0xFFFFFFFF) << 32)

    # Calls.

    def _call(self, state: State, slot: int, instruction: Instruction) -> None:
        registers = state.registers
        callee: int | None = None
        if instruction.opcode == CALL and instruction.src == PSEUDO_CALL:
            callee = slot + 1 + instruction.imm
        elif instruction.opcode == CALLX:
            kind = registers[instruction.dst]
            if isinstance(kind, Pointer) and kind.target is Target.FUNCTION:
                callee = kind.offset
        if callee is not None:
            result = self.invoke(callee, {number: registers[number] for number in range(1, 6)})
            if self._current.exposed:
                state.slots.clear()
        else:
            effect = self.environment.call_effect(slot, registers)
            for number, size in effect.sizes.items():
                kind = registers[number]
                if is_frame(kind):
                    self._lend(state, kind, registers, size)
            if self._current.exposed:
                state.slots.clear()
            result = effect.returns
        registers[0] = result
        registers[1:6] = [None] * 5

    def _lend(self, state: State, kind: Kind, registers: list[Kind], size: int | None) -> None:
        assert isinstance(kind, Pointer)
        if kind.offset is None:
            self._current.flat = True
            state.slots.clear()
            return
        length = -kind.offset if size is None else size
        _forget(state.slots, kind.offset, length)
        state.written |= written_mask(kind.offset, length)

    def invoke(self, callee: int, arguments: Mapping[int, Kind]) -> Kind:
        """A call of the function at ``callee``: join the arguments into what it is called with; what it returns."""
        summary = self.summaries[callee]
        caller = self._current.function.start
        live = summary.function.entry.live
        new = False
        if caller not in summary.callers:
            summary.callers.add(caller)
            new = True
        for number, argument in arguments.items():
            if not live >> number & 1:
                continue
            kind = _settled(argument)
            if is_frame(kind):
                self._current.exposed = self._current.flat = True
                kind = MEMORY
            joined = join(summary.parameters[number], kind)
            if joined != summary.parameters[number]:
                summary.parameters[number] = joined
                new = True
        if new and not summary.entries:
            # Not seen yet: know what it returns before going on, which saves a second pass over the caller.
            current = self._current
            self._function(callee)
            self._current = current
        elif new and callee not in self._pending:
            self._pending.append(callee)
        return summary.returns


def _bits(operation: int, a: int, b: int, limit: int, instruction: Instruction) -> int:
    """Significant bits of the result of an operation on numbers of ``a`` and ``b`` bits."""
    constant = None if instruction.opcode & 8 else instruction.imm
    if operation == 0x50:
        return min(a, b)
    if operation in (0x40, 0xA0):
        return max(a, b)
    if operation == 0x00:
        return max(a, b) + 1
    if operation == 0x20:
        return a + b
    if operation == 0x30:
        return limit if instruction.offset and (a == limit or b == limit) else a
    if operation == 0x90:
        if instruction.offset:
            return limit if a == limit or b == limit else a
        return min(a, b) if constant else a
    if operation == 0x60:
        return limit if constant is None else a + (constant & (limit - 1))
    if operation == 0x70:
        return a if constant is None else max(a - (constant & (limit - 1)), 0)
    if operation == 0xC0:
        if a == limit:
            return limit
        return a if constant is None else max(a - (constant & (limit - 1)), 0)
    return limit


def written_mask(offset: int, size: int) -> int:
    """The bits of :attr:`State.written` for ``size`` bytes at ``offset`` from r10; 0 outside the frame."""
    start = FRAME_SIZE + offset
    if start < 0 or size <= 0:
        return 0
    return ((1 << size) - 1) << start


def _forget(slots: dict[int, Kind], offset: int, size: int) -> None:
    if slots:
        end = offset + size
        for at in range(offset - 7, end):
            slots.pop(at, None)
