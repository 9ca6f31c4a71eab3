"""The table of all helpers of Linux 6.18: what each takes, returns, needs and does, and who may call it.

211 helpers by the numbers that programs call them by. The rows stand in ``prototypes_maps``,
``prototypes_network`` and ``prototypes_system``, the permissions in ``permissions``.

Source of facts: names, numbers and C declarations are the user-space interface's. Argument types, licences and
permissions were measured: a running kernel was asked to load calls of each helper with arguments of each kind
(``tests/stdlib/kernel_probe.py``). What a load cannot show (whether memory that is written may be uninitialised; rows
of types that the kernel had not) follows the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.errors import RequestError
from skep.objects.kinds import AttachType, ProgramType
from skep.stdlib import prototypes_maps, prototypes_network, prototypes_system
from skep.stdlib.permissions import ATTACH, NEEDS_PERFMON, PERMITTED, WITHOUT_PERFMON
from skep.stdlib.prototype import HelperPrototype

#: Every row, by number; those of one helper beside each other, the general one first.
ROWS: tuple[HelperPrototype, ...] = tuple(
    sorted(
        prototypes_maps.ROWS + prototypes_network.ROWS + prototypes_system.ROWS,
        key=lambda row: (row.number, row.programs is not None),
    )
)

#: The name of every helper by its number, without the kernel's ``bpf_``.
NAMES: Mapping[int, str] = MappingProxyType({row.number: row.name for row in ROWS})
#: The number of every helper by its name.
NUMBERS: Mapping[str, int] = MappingProxyType({row.name: row.number for row in ROWS})

_GENERAL = {row.number: row for row in ROWS if row.programs is None}
_SPECIAL = {(row.number, program): row for row in ROWS for program in row.programs or ()}


def name(number: int) -> str | None:
    """The name of a helper, without ``bpf_``; None for a number that no helper has."""
    return NAMES.get(number)


def number(name: str) -> int:
    """The number of a helper, whose name may start with ``bpf_``. Raises RequestError if there is none."""
    found = NUMBERS.get(name.removeprefix("bpf_"))
    if found is None:
        raise RequestError(f"there is no helper named {name}")
    return found


def prototype(number: int, program: ProgramType | None = None) -> HelperPrototype:
    """The row of a helper for a program type. Raises RequestError for a number that no helper has."""
    if program is not None and (special := _SPECIAL.get((number, program))) is not None:
        return special
    row = _GENERAL.get(number)
    if row is None:
        raise RequestError(f"there is no helper number {number}: Linux 6.18 has 1 to {len(NAMES)}")
    return row


def permitted(
    number: int, program: ProgramType, attach_type: AttachType | None = None, *, perfmon: bool = True
) -> bool:
    """Whether a program of this type may call helper ``number``; ``perfmon`` says whether its loader has CAP_PERFMON.

    Without ``attach_type`` the answer is for the attach type that allows most. EXT programs may call what the program
    that they replace may: ask for that one's type.
    """
    called = NAMES.get(number)
    if called is None or called not in PERMITTED.get(program, frozenset()):
        return False
    if not perfmon and called in NEEDS_PERFMON - WITHOUT_PERFMON.get(program, frozenset()):
        return False
    needed = ATTACH.get((program, called))
    return needed is None or attach_type is None or attach_type in needed


def permitted_numbers(
    program: ProgramType, attach_type: AttachType | None = None, *, perfmon: bool = True
) -> frozenset[int]:
    """The numbers of all helpers that a program of this type may call; see :func:`permitted`."""
    return frozenset(number for number in NAMES if permitted(number, program, attach_type, perfmon=perfmon))
