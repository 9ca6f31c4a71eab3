"""Smaller programs and inputs that still show the same: what to cut is tried, not reasoned about.

:func:`fewer` is delta debugging: it drops elements of a sequence, large pieces first, as long as ``interesting``
says that the rest still shows what it should. A program is shortened by dropping instructions; most of what comes
of that no verifier takes, which is an answer too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from skep.diff.inputs import ETHERNET, whole
from skep.isa import Instruction, row_of
from skep.isa.meaning import Branch, Call, Goto, MayGoto, WideLoad
from skep.objects import ProgramSpec
from skep.objects.spec import MapReference

T = TypeVar("T")


@dataclass
class Patience:
    """How long to go on trying, in seconds from now."""

    seconds: float

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    @property
    def over(self) -> bool:
        """Whether it is at its end."""
        return time.monotonic() > self._end


def fewer(elements: Sequence[T], interesting: Callable[[list[T]], bool], patience: Patience) -> list[T]:
    """As few of ``elements``, in their order, as still are interesting; none can be dropped alone, if time allows."""
    kept = list(elements)
    piece = max(len(kept) // 2, 1)
    while kept:
        start, dropped = 0, False
        while start < len(kept) and not patience.over:
            rest = kept[:start] + kept[start + piece :]
            if interesting(rest):
                kept, dropped = rest, True
            else:
                start += piece
        if patience.over or (piece == 1 and not dropped):
            break
        piece = max(piece // 2, 1)
    return kept


def smaller_packet(packet: bytes, interesting: Callable[[bytes], bool], patience: Patience) -> bytes:
    """A shorter packet with more zeros that still is interesting."""
    step = max(len(packet) // 2, 1)
    while step and not patience.over:
        shorter = packet[:-step]
        if len(shorter) >= min(ETHERNET, len(packet)) and whole(shorter) == shorter and interesting(shorter):
            packet = shorter
        else:
            step //= 2

    def with_only(places: Sequence[int]) -> bytes:
        there = set(places)
        return bytes(byte if place in there else 0 for place, byte in enumerate(packet))

    def shows(places: list[int]) -> bool:
        candidate = with_only(places)
        return whole(candidate) == candidate and interesting(candidate)

    return with_only(fewer([place for place, byte in enumerate(packet) if byte], shows, patience))


def smaller_program(spec: ProgramSpec, interesting: Callable[[ProgramSpec], bool], patience: Patience) -> ProgramSpec:
    """A shorter program that still is interesting."""
    units = _units(spec)
    everything = set(range(len(spec.instructions)))

    def cut(kept: Sequence[tuple[int, ...]]) -> ProgramSpec | None:
        return without(spec, everything - {slot for unit in kept for slot in unit})

    def shows(kept: list[tuple[int, ...]]) -> bool:
        candidate = cut(kept)
        return candidate is not None and interesting(candidate)

    return cut(fewer(units, shows, patience)) or spec


def _units(spec: ProgramSpec) -> list[tuple[int, ...]]:
    """The slots of each instruction: two of a wide load."""
    units, slot = [], 0
    while slot < len(spec.instructions):
        size = 2 if spec.instructions[slot].is_wide else 1
        units.append(tuple(range(slot, slot + size)))
        slot += size
    return units


def without(spec: ProgramSpec, removed: set[int]) -> ProgramSpec | None:
    """``spec`` without the instructions at some slots, jumps leading to what follows them; None if nothing is left
    to jump to or to call."""
    length = len(spec.instructions)
    moved, place = [], 0
    for slot in range(length):
        moved.append(place)
        place += slot not in removed
    moved.append(place)
    code: list[Instruction] = []
    for slot, instruction in enumerate(spec.instructions):
        if slot in removed:
            continue
        changed = _retargeted(instruction, slot, moved)
        if changed is None:
            return None
        code.append(changed)
    if not code:
        return None
    functions = tuple(replace(one, start=moved[one.start]) for one in spec.functions)
    starts = [one.start for one in functions]
    if len(set(starts)) != len(starts) or place in starts:
        # A function of which nothing is left goes; who still refers to it makes the program one that is refused.
        ends = [*starts[1:], place]
        functions = tuple(one for one, end in zip(functions, ends, strict=True) if one.start < end)
    references = {moved[slot]: one for slot, one in spec.references.items() if slot not in removed}
    named = {one.map for one in references.values() if isinstance(one, MapReference)}
    members = {name for key in named for name in spec.maps[key].slots.values()}
    return replace(
        spec,
        instructions=tuple(code),
        functions=functions,
        references=MappingProxyType(references),
        lines=MappingProxyType({moved[slot]: one for slot, one in spec.lines.items() if slot not in removed}),
        core_relocations=MappingProxyType(
            {moved[slot]: one for slot, one in spec.core_relocations.items() if slot not in removed}
        ),
        maps=MappingProxyType({name: one for name, one in spec.maps.items() if name in named | members}),
    )


def _retargeted(instruction: Instruction, slot: int, moved: Sequence[int]) -> Instruction | None:
    """An instruction with its distance as it is now; None if that leads nowhere."""
    row = row_of(instruction)
    meaning = row.meaning if row is not None else None
    by_imm = (
        (isinstance(meaning, Call) and meaning.target == "subprogram")
        or (isinstance(meaning, WideLoad) and meaning.refers == "function")
        or (isinstance(meaning, Goto) and meaning.far)
    )
    if not by_imm and not isinstance(meaning, Branch | Goto | MayGoto):
        return instruction
    target = slot + 1 + (instruction.imm if by_imm else instruction.offset)
    if not 0 <= target < len(moved) - 1 or moved[target] == moved[-1]:
        return None
    distance = moved[target] - moved[slot] - 1
    return replace(instruction, imm=distance) if by_imm else replace(instruction, offset=distance)
