"""The control flow of a program: its functions, their basic blocks, loops, and which registers are live.

A block is a list of slots and a terminator instead of a range of slots, so that recovered switches can take blocks
apart and put paths together anew. Calls do not end blocks. Source of facts: RFC 9669, sections 4.3 and 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skep.errors import LoadError
from skep.isa.instruction import Instruction, Instructions

#: Classes of instructions, the low three bits of an opcode.
LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)

CALL = 0x85
CALLX = 0x8D
EXIT = 0x95
JA = 0x05
JA32 = 0x06
MAY_GOTO = 0xE5
LDDW = 0x18

#: Values of ``src`` in a call and in a wide load that name a function of the program itself.
PSEUDO_CALL = 1
PSEUDO_KFUNC = 2
PSEUDO_FUNCTION = 4

ARGUMENTS = 0b111110
_ALL = (1 << 11) - 1


@dataclass(frozen=True, slots=True)
class Exit:
    """The function returns r0."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Control goes on at block ``target``."""

    target: int


@dataclass(frozen=True, slots=True)
class Branch:
    """The conditional jump (or ``may_goto``) at ``slot``: to block ``taken`` or to block ``other``."""

    slot: int
    taken: int
    other: int


@dataclass(frozen=True, slots=True)
class Switch:
    """A choice by the value of ``register``, its lower 32 bits if ``narrow``; cases are unsigned values.

    ``default`` is where all other values lead, None if it can have no others.
    """

    register: int
    narrow: bool
    cases: tuple[tuple[int, int], ...]
    default: int | None

    @property
    def targets(self) -> list[int]:
        """Where its edges lead, one element an edge."""
        targets = [target for _, target in self.cases]
        return targets if self.default is None else [self.default, *targets]


Terminator = Exit | Jump | Branch | Switch


@dataclass(slots=True, eq=False)
class Block:
    """Straight code. ``body`` holds slots of the program, ``name`` is unique in the function.

    ``live`` is a bit mask of the registers whose values at entry matter; ``rewritten``, set on loop heads, of those
    that the loop assigns.
    """

    name: int
    body: list[int]
    terminator: Terminator
    successors: list[int] = field(default_factory=list)
    predecessors: list[int] = field(default_factory=list)
    live: int = 0
    rewritten: int = _ALL
    reads: int = 0
    writes: int = 0
    is_loop_head: bool = False


@dataclass(slots=True, eq=False)
class Function:
    """The blocks that can be reached from slot ``start``, and ``order``, their names in reverse postorder."""

    start: int
    blocks: dict[int, Block]
    order: list[int]

    @property
    def entry(self) -> Block:
        """The block where the function starts."""
        return self.blocks[self.order[0]]


def successors_of(terminator: Terminator) -> list[int]:
    """The blocks that may follow, each once."""
    if isinstance(terminator, Jump):
        return [terminator.target]
    if isinstance(terminator, Branch):
        taken, other = terminator.taken, terminator.other
        return [taken, other] if taken != other else [taken]
    if isinstance(terminator, Switch):
        return list(dict.fromkeys(terminator.targets))
    return []


def jump_target(slot: int, instruction: Instruction) -> int:
    """Where the jump at ``slot`` goes when it is taken."""
    return slot + 1 + (instruction.imm if instruction.opcode == JA32 else instruction.offset)


def function_starts(instructions: Instructions) -> list[int]:
    """The slots where functions begin: 0 and all that a call or a wide load names, in rising order."""
    starts = {0}
    for slot, instruction in enumerate(instructions):
        opcode = instruction.opcode
        if (opcode == CALL and instruction.src == PSEUDO_CALL) or (
            opcode == LDDW and instruction.src == PSEUDO_FUNCTION
        ):
            target = slot + 1 + instruction.imm
            if not 0 <= target < len(instructions):
                raise LoadError(
                    f"a function is to start at slot {target}, but its slots are 0 to {len(instructions) - 1}",
                    instruction=slot,
                )
            starts.add(target)
    return sorted(starts)


def build(instructions: Instructions, start: int) -> Function:
    """The function that starts at ``start``, without liveness. Raises LoadError where control leaves the program."""
    count = len(instructions)
    leaders = {start}
    pending = [start]
    seen: set[int] = set()
    while pending:
        slot = pending.pop()
        while True:
            if not 0 <= slot < count:
                raise LoadError(
                    f"control leaves the program at slot {slot}; end every path with exit or a jump", instruction=slot
                )
            if slot in seen:
                leaders.add(slot)
                break
            seen.add(slot)
            instruction = instructions[slot]
            opcode = instruction.opcode
            kind = opcode & 7
            if opcode == 0:
                raise LoadError("control goes to the second slot of a wide load", instruction=slot)
            if kind in (JMP, JMP32):
                if opcode in (CALL, CALLX):
                    slot += 1
                    continue
                if opcode == EXIT:
                    break
                target = jump_target(slot, instruction)
                leaders.add(target)
                if opcode in (JA, JA32):
                    slot = target
                    continue
                pending.append(target)
                slot += 1
                leaders.add(slot)
                continue
            slot += 2 if opcode == LDDW else 1
    blocks: dict[int, Block] = {}
    for leader in leaders:
        blocks[leader] = _block(instructions, leader, leaders)
    return Function(start, blocks, [start])


def _block(instructions: Instructions, leader: int, leaders: set[int]) -> Block:
    body: list[int] = []
    slot = leader
    while True:
        instruction = instructions[slot]
        opcode = instruction.opcode
        kind = opcode & 7
        if (kind in (JMP, JMP32)) and opcode != CALL and opcode != CALLX:
            if opcode == EXIT:
                return Block(leader, body, Exit())
            target = jump_target(slot, instruction)
            if opcode in (JA, JA32):
                return Block(leader, body, Jump(target))
            return Block(leader, body, Branch(slot, target, slot + 1))
        body.append(slot)
        slot += 2 if opcode == LDDW else 1
        if slot in leaders:
            return Block(leader, body, Jump(slot))


def finish(function: Function, instructions: Instructions) -> None:
    """Connect the blocks, drop what cannot be reached, order them, and find loops and live registers."""
    blocks = function.blocks
    for block in blocks.values():
        block.successors = successors_of(block.terminator)
        block.predecessors = []
    function.order = _reverse_postorder(blocks, function.start)
    function.blocks = blocks = {name: blocks[name] for name in function.order}
    for block in blocks.values():
        for successor in block.successors:
            blocks[successor].predecessors.append(block.name)
        _uses(block, instructions)
    _liveness(function)
    _loops(function)


def _reverse_postorder(blocks: dict[int, Block], start: int) -> list[int]:
    order: list[int] = []
    seen = {start}
    stack = [(start, iter(blocks[start].successors))]
    while stack:
        name, rest = stack[-1]
        for successor in rest:
            if successor not in seen:
                seen.add(successor)
                stack.append((successor, iter(blocks[successor].successors)))
                break
        else:
            order.append(name)
            stack.pop()
    order.reverse()
    return order


def registers_of(instruction: Instruction) -> tuple[int, int]:
    """Bit masks of the registers that a body instruction reads and writes; calls are taken to read all arguments."""
    opcode = instruction.opcode
    kind = opcode & 7
    dst = 1 << instruction.dst
    src = 1 << instruction.src
    if kind in (ALU, ALU64):
        operation = opcode & 0xF0
        if operation == 0xB0:
            return (src if opcode & 8 else 0), dst
        if operation == 0x80 or operation == 0xD0:
            return dst, dst
        return (dst | src if opcode & 8 else dst), dst
    if kind == LDX:
        return src, dst
    if kind == ST:
        return dst, 0
    if kind == STX:
        if opcode & 0xE0 != 0xC0:
            return dst | src, 0
        operation = instruction.imm
        if operation == 0x100:
            return src, dst
        if operation == 0xF1:
            return dst | src | 1, 1
        return dst | src, (src if operation & 1 else 0)
    if kind == LD:
        if opcode == LDDW:
            return 0, dst
        return (1 << 6) | (src if opcode & 0xE0 == 0x40 else 0), 0b111111
    return ARGUMENTS | (dst if opcode == CALLX else 0), 0b111111


def branch_reads(instruction: Instruction) -> int:
    """Bit mask of the registers that a conditional jump compares."""
    if instruction.opcode == MAY_GOTO:
        return 0
    return 1 << instruction.dst | (1 << instruction.src if instruction.opcode & 8 else 0)


def _uses(block: Block, instructions: Instructions) -> None:
    reads = writes = 0
    for slot in block.body:
        read, written = registers_of(instructions[slot])
        reads |= read & ~writes
        writes |= written
    terminator = block.terminator
    last = 0
    if isinstance(terminator, Branch):
        last = branch_reads(instructions[terminator.slot])
    elif isinstance(terminator, Switch):
        last = 1 << terminator.register
    elif isinstance(terminator, Exit):
        last = 1
    block.reads = reads | last & ~writes
    block.writes = writes


def _liveness(function: Function) -> None:
    blocks = function.blocks
    pending = list(function.order)
    queued = set(pending)
    while pending:
        block = blocks[pending.pop()]
        queued.discard(block.name)
        after = 0
        for successor in block.successors:
            after |= blocks[successor].live
        live = block.reads | after & ~block.writes
        if live != block.live:
            block.live = live
            for name in block.predecessors:
                if name not in queued:
                    queued.add(name)
                    pending.append(name)


def _loops(function: Function) -> None:
    """Mark the heads of loops; in a reducible loop note the registers that it assigns."""
    blocks = function.blocks
    place = {name: index for index, name in enumerate(function.order)}
    for name in function.order:
        head = blocks[name]
        at = place[name]
        latches = [latch for latch in head.predecessors if place[latch] >= at]
        if not latches:
            continue
        head.is_loop_head = True
        body = {name}
        pending = [latch for latch in latches if latch != name]
        written = head.writes
        while pending:
            inner = pending.pop()
            if inner in body:
                continue
            if place[inner] < at:
                written = _ALL
                break
            body.add(inner)
            written |= blocks[inner].writes
            pending.extend(blocks[inner].predecessors)
        head.rewritten = written
