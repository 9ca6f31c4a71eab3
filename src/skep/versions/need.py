"""One thing that a program uses and that not every kernel has, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from skep.objects.spec import ProgramSpec, SourceLine
from skep.versions.version import OLDEST, KernelVersion

Area = Literal[
    "map type",
    "map flag",
    "map field",
    "program type",
    "attach type",
    "load flag",
    "type",
    "size",
    "instruction",
    "loop",
    "field",
    "function",
    "helper",
    "kernel function",
    "kernel types",
]

#: In which order a kernel meets them: maps are made before the program is loaded, calls are checked last.
_ORDER: dict[Area, int] = {
    "map type": 0,
    "map flag": 0,
    "map field": 0,
    "type": 1,
    "kernel types": 1,
    "program type": 2,
    "attach type": 2,
    "load flag": 2,
    "size": 2,
    "instruction": 3,
    "loop": 4,
    "field": 5,
    "function": 5,
    "helper": 5,
    "kernel function": 1,
}
#: What is called by its name alone, and what a kernel takes or does not take.
_NAMES_ALONE: frozenset[Area] = frozenset({"size", "loop", "function", "kernel types", "instruction"})
_TAKEN: frozenset[Area] = frozenset({"size", "loop", "function"})
#: Areas of which a kernel sees only what it follows: behind a test that fails they do no harm.
_FOLLOWED: frozenset[Area] = frozenset({"field", "helper", "kernel function"})
#: Of instructions, what is said of their fields once a path comes there; opcodes are looked at before.
_LOOKED_AT_LATE: frozenset[str] = frozenset({"BPF_ALU uses reserved fields", "BPF_MOV uses reserved fields"})


@dataclass(frozen=True, slots=True)
class Need:
    """Something that exists since a version.

    ``places`` are the slots that use it, ``map`` the map that is made with it; none where neither applies.
    Where it is known only that it came between two versions, ``since`` is the earliest and ``latest`` the other.
    ``source`` is the line of the first place. ``complaint`` is what an older kernel says to it, and
    ``later_complaints`` what it says from some versions on, in order. ``otherwise`` says what happens on a kernel
    that does not have it, where loading works all the same; it is empty if it does not. ``advice`` is what to do
    instead.
    """

    area: Area
    name: str
    since: KernelVersion
    places: tuple[int, ...] = ()
    map: str | None = None
    complaint: str = ""
    otherwise: str = ""
    advice: str = ""
    source: SourceLine | None = None
    latest: KernelVersion | None = None
    later_complaints: tuple[tuple[KernelVersion, str], ...] = ()

    @property
    def instruction(self) -> int | None:
        """The first slot that uses it, or None."""
        return self.places[0] if self.places else None

    def complaint_of(self, version: KernelVersion) -> str:
        """What a version that does not have it says to it."""
        said = self.complaint
        for since, text in self.later_complaints:
            if since <= version:
                said = text
        return said

    @property
    def surely(self) -> KernelVersion:
        """The first version that is known to have it."""
        return self.since if self.latest is None else self.latest

    @property
    def age(self) -> str:
        """Since when there is it, for a person: ``5.8``, or ``6.2 to 6.12`` where that is all that is known."""
        return str(self.since) if self.latest is None else f"{self.since} to {self.latest}"

    @property
    def is_required(self) -> bool:
        """Whether the program does not load on a kernel that does not have it."""
        return not self.otherwise

    @property
    def is_followed(self) -> bool:
        """Whether a kernel minds it only where it follows the program there."""
        return self.area in _FOLLOWED or self.complaint in _LOOKED_AT_LATE

    @property
    def order(self) -> tuple[int, int]:
        """Where a kernel meets it, among others."""
        return _ORDER[self.area], -1 if self.instruction is None else self.instruction

    @property
    def title(self) -> str:
        """What it is, in words: ``helper bpf_loop``."""
        return self.name if self.area in _NAMES_ALONE else f"{self.area} {self.name}"

    def lacking_in(self, version: KernelVersion) -> str:
        """A clause: what ``version`` does not have."""
        return f"Linux {version} {'takes' if self.area in _TAKEN else 'has'} no {self.title}"

    @property
    def place(self) -> str:
        """Where it is used, for a person; empty where it is the program's as a whole."""
        if self.map is not None:
            return f"map {self.map}"
        if self.source is not None and self.source.line:
            return f"{self.source.file.rpartition('/')[2]}:{self.source.line}"
        return "" if self.instruction is None else f"instruction {self.instruction}"

    def as_json(self) -> dict[str, Any]:
        """The need as a JSON object."""
        line = self.source
        return {
            "area": self.area,
            "name": self.name,
            "since": str(self.since),
            "surely_since": str(self.surely),
            "required": self.is_required,
            "instruction": self.instruction,
            "map": self.map,
            "source": None
            if line is None
            else {"file": line.file, "line": line.line, "column": line.column, "text": line.text},
            "otherwise": self.otherwise,
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class Needs:
    """What a program needs, the newest first.

    ``unknown`` are kernel functions of which it is not known when they came. ``asks`` says how the program finds out
    what the kernel has (CO-RE, weak symbols, configuration), so that it may do without some of it; empty if it does
    not ask.
    """

    program: ProgramSpec
    all: tuple[Need, ...] = ()
    unknown: tuple[str, ...] = ()
    asks: str = ""

    @property
    def required(self) -> tuple[Need, ...]:
        """Those without which the program does not load, the newest first."""
        return tuple(need for need in self.all if need.is_required)

    @property
    def lowest(self) -> KernelVersion:
        """The first version that surely has all that is required; the oldest known one if that is older."""
        return max((OLDEST, *(need.surely for need in self.required)))

    def missing(self, version: KernelVersion) -> tuple[Need, ...]:
        """What is required and ``version`` does not have, in the order in which it would say so."""
        return tuple(sorted((one for one in self.required if one.since > version), key=lambda one: one.order))

    def doubtful(self, version: KernelVersion) -> tuple[Need, ...]:
        """What is required and ``version`` may have or not have, as far as is known."""
        return tuple(one for one in self.required if one.since <= version < one.surely)
