"""One Python function for a whole stretch of instructions: what a block becomes that runs often.

A *trace* begins at a slot and follows the program: through jumps that are always taken, and past conditional ones,
each of which leaves the function if it is taken. Registers are local variables in it, written back where it is left.
Where it comes back to its own start it loops without leaving. The texts are the templates that steps are made of too,
with names and numbers in the place of operands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from skep.engines.interpreter.steps import NAMES, Prepared, Step

#: Instructions in a trace at most: long enough for the loops that matter, short enough to compile in milliseconds.
LONGEST_TRACE: Final = 128

#: The file name of every trace, by which a frame of one is recognised; its global LINES has the slot of each line.
TRACE_FILE: Final = "<trace of skep>"

_REGISTER = re.compile(r"\br(\d+)\b")
_ASSIGNED = re.compile(r"(?:^|: )r(\d+),? = ", re.MULTILINE)


def fuse(start: int, at: Callable[[int], Prepared]) -> Step:
    """The function that runs from ``start``, where ``at`` says what stands at a slot."""
    path, end = _follow(start, at)
    names = dict(NAMES)
    source, lines = _Trace(path, end, names).render()
    names["LINES"] = lines
    exec(compile(source, TRACE_FILE, "exec"), names)  # made of this package's own text and of numbers
    function: Step = names["trace"]
    return function


def _follow(start: int, at: Callable[[int], Prepared]) -> tuple[list[Prepared], int | None]:
    """The instructions of a trace, and the slot to go on at behind the last one (None if that one says itself)."""
    path: list[Prepared] = []
    seen: set[int] = set()
    slot = start
    while slot not in seen and len(path) < LONGEST_TRACE:
        prepared = at(slot)
        path.append(prepared)
        seen.add(slot)
        if prepared.template.leaves:
            return path, None
        slot = prepared.target if prepared.is_goto else prepared.next
        if prepared.template.jumps and prepared.target == start:
            break
    return path, slot


def _fill(prepared: Prepared, names: dict[str, Any]) -> str:
    constant = f"constant{len(names)}"
    names[constant] = prepared.template.constant
    return prepared.template.text.format(
        d=f"r{prepared.dst}",
        s=prepared.number if prepared.has_number else f"r{prepared.src}",
        b=f"r{prepared.base}",
        r0="r0",
        o=prepared.offset,
        k=prepared.number,
        f=constant,
        frame="frame",
        cells="cells",
        slot=prepared.slot,
        next=prepared.next,
        target=prepared.target,
    )


class _Trace:
    """The text of a trace while it is put together."""

    def __init__(self, path: list[Prepared], end: int | None, names: dict[str, Any]) -> None:
        self._start = path[0].slot
        self._length = len(path)
        self._items = [(prepared, _fill(prepared, names)) for prepared in path]
        self._end = end
        self._loops = end == self._start or any(p.template.jumps and p.target == self._start for p in path)
        self._lines: list[str] = []
        self._slots: list[int] = [self._start]
        self._slot = self._start

    def render(self) -> tuple[str, tuple[int, ...]]:
        """The source, and for each of its lines (from 1) the slot of the instruction it belongs to."""
        texts = "\n".join(text for _, text in self._items)
        touched = sorted({int(number) for number in _REGISTER.findall(texts)})
        written = {int(number) for number in _ASSIGNED.findall(texts)}
        self._add(0, "def trace(e, r):")
        self._add(1, f"if e.left < {self._length}: return e.creep({self._start})")
        self._add(1, *(f"r{number} = r[{number}]" for number in touched))
        self._add(1, *(f"{name} = e.{name}" for name in ("frame", "cells") if name in texts))
        depth = 1
        if self._loops:
            self._add(1, "while True:")
            depth = 2
        so_far = written if self._loops else set()
        for done, (prepared, text) in enumerate(self._items, 1):
            self._slot = prepared.slot
            if prepared.template.leaves:
                self._leave(depth, done, text, so_far)
            elif prepared.is_goto:
                pass
            elif prepared.template.jumps:
                self._add(depth, f"if {text}:")
                self._go(depth + 1, done, prepared.target, so_far)
            else:
                self._add(depth, *text.splitlines())
                so_far |= {int(number) for number in _ASSIGNED.findall(text)}
        if self._end is not None:
            self._go(depth, self._length, self._end, so_far)
        return "\n".join(self._lines), tuple(self._slots)

    def _add(self, depth: int, *lines: str) -> None:
        self._lines += ["    " * depth + line for line in lines]
        self._slots += [self._slot] * len(lines)

    def _go(self, depth: int, done: int, slot: int, written: Iterable[int]) -> None:
        if slot != self._start:
            self._leave(depth, done, str(slot), written)
            return
        self._add(depth, f"e.left -= {done}", f"if e.left >= {self._length}: continue")
        self._leave(depth, 0, str(slot), written)

    def _leave(self, depth: int, done: int, value: str, written: Iterable[int]) -> None:
        self._add(depth, *(f"r[{number}] = r{number}" for number in sorted(written)))
        if done:
            self._add(depth, f"e.left -= {done}")
        self._add(depth, f"return {value}")
