"""What a program that is attached to a function finds in its context: a slot of eight bytes for each argument."""

from __future__ import annotations

from dataclasses import dataclass

from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.states.register import Kind


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program sees in one slot: a number, or a pointer. ``whole`` is what has to be read as a whole.

    ``problem`` is said instead where a program cannot read the slot, ``remark`` in the log where it reads a pointer;
    what is ``refused`` cannot be read either, and nothing is said of why. ``reference`` is the id of what the program
    is handed with it and has to give back, 0 for nothing. ``in_part`` is said of a pointer that Linux takes any load
    of a part of the slot for.
    """

    kind: Kind = Kind.SCALAR
    flags: int = 0
    subject: KernelType | None = None
    problem: str = ""
    remark: str = ""
    whole: bool = False
    refused: bool = False
    reference: int = 0
    in_part: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """A function that a program is attached to: what its context holds, and whether the function returns something.

    ``result`` is what it returned, where the program may read that; it stands behind the arguments.
    """

    name: str
    arguments: tuple[Seen, ...]
    result: Seen | None = None
    is_void: bool = False

    @property
    def handed_over(self) -> tuple[int, ...]:
        """The ids of what the program is handed and has to give back."""
        return tuple(one.reference for one in self.arguments if one.reference)

    def slot(self, index: int) -> Seen:
        """What is in the slot of that number."""
        if index < len(self.arguments):
            return self.arguments[index]
        if index == len(self.arguments) and self.result is not None:
            return self.result
        return Seen(problem=f"func '{self.name}' doesn't have {index + 1}-th argument")
