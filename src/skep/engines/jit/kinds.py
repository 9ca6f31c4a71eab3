"""What a register or a stack slot holds, as far as translation wants to know it.

LLVM optimises memory well only where it sees pointers as pointers, and arithmetic only where it knows that upper
halves are zero. A kind says both. It is one of

- None: nothing yet (no path that reaches here has assigned it);
- an int: a number of at most that many significant bits, 0 to 64; 64 is also what may be an address in disguise;
- a :class:`Pointer`: an address, or null, of the same object on every path.

``join`` is the least upper bound; at joins of control the numbers of bits go up in a few steps, so that loops settle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Target(Enum):
    """What a pointer points at."""

    #: The frame of the function itself; ``offset`` counts from r10, or is None where it varies.
    STACK = "stack"
    #: The context in its native layout; ``offset`` is that which the program sees.
    CONTEXT = "context"
    #: The map called ``name``.
    MAP = "map"
    #: The function at slot ``offset``.
    FUNCTION = "function"
    #: Any other memory: packets, values of maps, frames of callers.
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Pointer:
    """An address inside (or, for memory, perhaps outside) a known object."""

    target: Target
    offset: int | None = None
    name: str = ""


#: The kind of a register or slot; see the top of the file.
Kind = int | Pointer | None

MEMORY = Pointer(Target.MEMORY)
STEPS = tuple(
    0 if n == 0 else 1 if n == 1 else 8 if n <= 8 else 16 if n <= 16 else 32 if n <= 32 else 64 for n in range(65)
)


def join(left: Kind, right: Kind) -> Kind:
    """The kind of a value that is of kind ``left`` on one path and ``right`` on another."""
    if left == right and left.__class__ is right.__class__:
        return left
    if left is None:
        return right
    if right is None:
        return left
    if isinstance(left, int):
        if isinstance(right, int):
            return STEPS[left if left > right else right]
        left, right = right, left
    if isinstance(right, int):
        # A pointer and the number zero: a pointer that may be null. It is no frame address at a known offset.
        if right == 0:
            return MEMORY if left.target is Target.STACK else left
        # An access through a context is translated, so it must not be forgotten that this is one.
        return left if left.target is Target.CONTEXT else 64
    if left.target is right.target and left.name == right.name:
        return Pointer(left.target, None, left.name)
    return MEMORY


def is_frame(kind: Kind) -> bool:
    """Whether ``kind`` is an address in the function's own frame."""
    return kind.__class__ is Pointer and kind.target is Target.STACK
