"""Put switches together again that clang's BPF back end took apart into trees of comparisons.

LLVM turns a switch into a jump table, a lookup table or arithmetic, but it does not find one in a tree of
comparisons, least of all where constants are loaded in between. So a tree of comparisons of one register with
constants is followed with the set of values that reach each node; each leaf then has its cases, and the leaf with the
largest set is the default. Instructions between the nodes move behind the choice, into a block of their own on each
path. A choice among constants by a byte is written out in full: that is a table then, as of character classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skep.engines.jit.graph import (
    ALU,
    ALU64,
    JMP,
    JMP32,
    LDDW,
    LDX,
    Block,
    Branch,
    Function,
    Jump,
    Switch,
    registers_of,
)
from skep.isa.instruction import Instruction, Instructions

#: A tree with fewer comparisons stays as it is.
_FEWEST = 3
#: More cases than this are not written out.
_MOST_CASES = 1024
#: A table of constants has at most so many entries: one for each value of a byte.
_LARGEST_TABLE = 256
#: So many instructions may stand between two nodes.
_MOST_BETWEEN = 3
#: Disjoint ranges of unsigned values, both ends included, in rising order.
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """Where a path of the tree ends: the values that take it, the instructions on it, and the block it leads to."""

    ranges: Ranges
    between: tuple[int, ...]
    target: int


def recover_switches(function: Function, instructions: Instructions) -> bool:
    """Replace trees of comparisons in ``function`` by switches; whether there were any."""
    inner: set[int] = set()
    changed = False
    fresh = len(instructions)
    for name in function.order:
        root = function.blocks[name]
        if name in inner or not _compared(root, instructions):
            continue
        terminator = root.terminator
        assert isinstance(terminator, Branch)
        first = instructions[terminator.slot]
        leaves: list[_Leaf] = []
        nodes = _follow(function, instructions, root, first, leaves)
        if len(nodes) < _FEWEST:
            continue
        switch = _switch(function, instructions, first, leaves, fresh)
        if switch is None:
            continue
        fresh += len(leaves)
        root.terminator = switch
        inner |= nodes
        changed = True
    return changed


def _compared(block: Block, instructions: Instructions) -> bool:
    """Whether the block ends in a comparison of a register with a constant."""
    terminator = block.terminator
    if not isinstance(terminator, Branch) or terminator.taken == terminator.other:
        return False
    opcode = instructions[terminator.slot].opcode
    return opcode & 7 in (JMP, JMP32) and not opcode & 8 and opcode & 0xF0 in _TAKEN


def _follow(
    function: Function, instructions: Instructions, root: Block, first: Instruction, leaves: list[_Leaf]
) -> set[int]:
    """Collect the leaves below ``root``; the nodes of the tree."""
    nodes = {root.name}
    pending: list[tuple[Block, Ranges, tuple[int, ...]]] = [(root, _domain(root, first, instructions), ())]
    while pending:
        block, ranges, between = pending.pop()
        terminator = block.terminator
        assert isinstance(terminator, Branch)
        taken, other = _split(ranges, instructions[terminator.slot])
        for target, part in ((terminator.taken, taken), (terminator.other, other)):
            if not part:
                continue
            end, alone = _end(function, function.blocks[target])
            if alone and end.name not in nodes and _is_node(end, first, instructions):
                nodes.add(end.name)
                pending.append((end, part, (*between, *end.body)))
            else:
                leaves.append(_Leaf(part, _needed(between, end.live, instructions), end.name))
    return nodes


def _end(function: Function, block: Block) -> tuple[Block, bool]:
    """Where ``block`` leads if it does nothing but jump, and whether that is the only way to get there."""
    seen = {block.name}
    alone = len(block.predecessors) == 1 and block.name != function.start
    while not block.body and isinstance(block.terminator, Jump) and block.terminator.target not in seen:
        block = function.blocks[block.terminator.target]
        seen.add(block.name)
        alone = alone and len(block.predecessors) == 1 and block.name != function.start
    return block, alone


def _needed(between: tuple[int, ...], live: int, instructions: Instructions) -> tuple[int, ...]:
    """Of the instructions on a path, those whose results matter where it leads."""
    kept: list[int] = []
    for slot in reversed(between):
        reads, writes = registers_of(instructions[slot])
        if writes & live:
            live = live & ~writes | reads
            kept.append(slot)
    return tuple(reversed(kept))


def _is_node(block: Block, first: Instruction, instructions: Instructions) -> bool:
    if not _compared(block, instructions) or len(block.body) > _MOST_BETWEEN:
        return False
    assert isinstance(block.terminator, Branch)
    own = instructions[block.terminator.slot]
    if own.dst != first.dst or own.opcode & 7 != first.opcode & 7:
        return False
    for slot in block.body:
        instruction = instructions[slot]
        if instruction.opcode & 7 not in (ALU, ALU64) and instruction.opcode != LDDW:
            return False
        if registers_of(instruction)[1] >> first.dst & 1:
            return False
    return True


def _domain(block: Block, first: Instruction, instructions: Instructions) -> Ranges:
    """The values that the register can have at the root, as far as the block itself shows."""
    limit = (1 << (32 if first.opcode & 7 == JMP32 else 64)) - 1
    for slot in reversed(block.body):
        instruction = instructions[slot]
        if not registers_of(instruction)[1] >> first.dst & 1:
            continue
        opcode = instruction.opcode
        if opcode & 7 == LDX and opcode & 0xE0 == 0x60:
            limit = min(limit, {0x10: 0xFF, 0x08: 0xFFFF, 0x00: 0xFFFFFFFF}.get(opcode & 0x18, limit))
        elif opcode & 7 in (ALU, ALU64) and opcode & 0xF8 == 0x50 and instruction.imm >= 0:
            limit = min(limit, instruction.imm)
        break
    return ((0, limit),)


def _switch(
    function: Function, instructions: Instructions, first: Instruction, leaves: list[_Leaf], fresh: int
) -> Switch | None:
    """The switch with these leaves, with new blocks for what stands between; None if it has too many cases."""
    merged: dict[tuple[tuple[int, ...], int], list[tuple[int, int]]] = {}
    for leaf in leaves:
        merged.setdefault((leaf.between, leaf.target), []).extend(leaf.ranges)
    sizes = {key: sum(high - low + 1 for low, high in ranges) for key, ranges in merged.items()}
    default = max(sizes, key=sizes.__getitem__)
    if sum(sizes.values()) - sizes[default] > _MOST_CASES:
        return None
    every = sum(sizes.values()) <= _LARGEST_TABLE and _is_table(function, merged, instructions)
    targets: dict[tuple[tuple[int, ...], int], int] = {}
    for between, target in merged:
        if between:
            function.blocks[fresh] = Block(fresh, list(between), Jump(target))
            targets[between, target] = fresh
            fresh += 1
        else:
            targets[between, target] = target
    cases = [
        (value, targets[key])
        for key, ranges in merged.items()
        if every or key != default
        for low, high in ranges
        for value in range(low, high + 1)
    ]
    other = None if every else targets[default]
    return Switch(first.dst, first.opcode & 7 == JMP32, tuple(sorted(cases)), other)


def _is_table(function: Function, leaves: Iterable[tuple[tuple[int, ...], int]], instructions: Instructions) -> bool:
    """Whether all leaves, instructions and the block they lead to, only choose constants and then meet.

    LLVM makes a table of such a choice, without a branch, if it sees enough cases: so it is shown all of them.
    """
    meeting: set[int] | None = None
    for between, target in leaves:
        if not all(_is_constant(instructions[slot]) for slot in between):
            return False
        places = {target}
        block = function.blocks[target]
        if isinstance(block.terminator, Jump) and all(_is_constant(instructions[slot]) for slot in block.body):
            places.add(block.terminator.target)
        meeting = places if meeting is None else meeting & places
    return bool(meeting)


def _is_constant(instruction: Instruction) -> bool:
    """Whether the instruction does nothing but set a register to a constant."""
    return instruction.opcode in (ALU | 0xB0, ALU64 | 0xB0)


def _split(ranges: Ranges, instruction: Instruction) -> tuple[Ranges, Ranges]:
    """The values for which the comparison holds, and the others."""
    bits = 32 if instruction.opcode & 7 == JMP32 else 64
    top = (1 << bits) - 1
    constant = instruction.imm & top
    middle = 1 << (bits - 1)
    holds = _TAKEN[instruction.opcode & 0xF0](constant, top, middle)
    return _intersection(ranges, holds), _intersection(ranges, _complement(holds, top))


def _signed_from(low: int, top: int, middle: int) -> Ranges:
    """All values that are at least ``low`` as signed numbers."""
    return ((low, middle - 1),) if low < middle else ((0, middle - 1), (low, top))


def _complement(ranges: Ranges, top: int) -> Ranges:
    gaps = []
    low = 0
    for start, end in ranges:
        if start > low:
            gaps.append((low, start - 1))
        low = end + 1
    if low <= top:
        gaps.append((low, top))
    return tuple(gaps)


def _intersection(left: Ranges, right: Ranges) -> Ranges:
    return tuple((max(a, c), min(b, d)) for a, b in left for c, d in right if max(a, c) <= min(b, d))


#: By operation of a jump: the values that take it, given constant, largest value and first negative value.
_TAKEN: dict[int, Callable[[int, int, int], Ranges]] = {
    0x10: lambda c, top, middle: ((c, c),),
    0x50: lambda c, top, middle: _complement(((c, c),), top),
    0x20: lambda c, top, middle: ((c + 1, top),) if c < top else (),
    0x30: lambda c, top, middle: ((c, top),),
    0xA0: lambda c, top, middle: ((0, c - 1),) if c else (),
    0xB0: lambda c, top, middle: ((0, c),),
    0x60: lambda c, top, middle: _signed_from((c + 1) & top, top, middle) if c != middle - 1 else (),
    0x70: lambda c, top, middle: _signed_from(c, top, middle),
    0xC0: lambda c, top, middle: _complement(_signed_from(c, top, middle), top),
    0xD0: lambda c, top, middle: _complement(_TAKEN[0x60](c, top, middle), top),
}
