"""From a template to a function for one instruction: the *step*.

The text of a template is compiled once for the process and kept; a step is that function bound to its operands. So
a program of a thousand instructions is ready in a few milliseconds, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from skep.engines.interpreter.templates import ALWAYS, Template

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution

#: A straight instruction returns None; any other the next slot, or None where the execution itself says what is next.
Step = Callable[["Execution", list[Any]], int | None]

#: What the text of a template may name besides its blanks.
NAMES: Final[dict[str, Any]] = {
    "from_bytes": int.from_bytes,
    "exclusive": Lock(),
    **{f"read{size}": Struct(f"={letter}").unpack_from for size, letter in zip((1, 2, 4, 8), "BHIQ", strict=True)},
    **{f"write{size}": Struct(f"={letter}").pack_into for size, letter in zip((1, 2, 4, 8), "BHIQ", strict=True)},
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What stands at one slot: a template and what fills its blanks.

    ``next`` and ``target`` are slots. ``number`` is the immediate, extended to the width of the operation;
    ``operand`` says whether it is the right operand (else the source register is). ``base`` is the register of a
    memory operand.
    """

    template: Template
    slot: int
    next: int
    dst: int = 0
    src: int = 0
    base: int = 0
    offset: int = 0
    number: int = 0
    has_number: bool = False
    target: int = 0

    @property
    def is_goto(self) -> bool:
        """Whether this is a jump that is always taken."""
        return self.template.text == ALWAYS


def make_step(prepared: Prepared) -> Step:
    """The function that executes one instruction."""
    template = prepared.template
    factory = _factory(template.text, template.jumps, template.leaves, prepared.has_number)
    return factory(
        prepared.dst,
        prepared.src,
        prepared.base,
        prepared.offset,
        prepared.number,
        template.constant,
        prepared.slot,
        prepared.next,
        prepared.target,
    )


@cache
def _factory(text: str, jumps: bool, leaves: bool, has_number: bool) -> Callable[..., Step]:
    filled = text.format(
        d="r[d]",
        s="k" if has_number else "r[s]",
        b="r[b]",
        r0="r[0]",
        o="o",
        k="k",
        f="f",
        frame="e.frame",
        cells="e.cells",
        slot="slot",
        next="next",
        target="target",
    )
    if jumps:
        filled = f"return target if {filled} else next"
    elif leaves:
        filled = f"return {filled}"
    body = "\n".join(" " * 8 + line for line in filled.splitlines())
    source = f"def make(d, s, b, o, k, f, slot, next, target):\n    def step(e, r):\n{body}\n    return step\n"
    scope: dict[str, Any] = {}
    exec(compile(source, "<step of skep>", "exec"), NAMES, scope)  # text of this package only, no input
    made: Callable[..., Step] = scope["make"]
    return made
