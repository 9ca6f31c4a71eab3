"""What the answer of 6.18 means for a newer kernel: it is told, with how often such answers were seen to hold there.

Nothing of what came after 6.18 is applied but what is known to be gone. What 6.18 accepts is accepted later with few
exceptions; what it refuses a newer kernel may accept.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from skep.objects.spec import KfuncReference, ProgramSpec
from skep.verifier.answers.other_kernel import OtherKernel
from skep.verifier.answers.report import Report
from skep.verifier.explaining.explanation import Explanation
from skep.versions import NEWEST, KernelVersion, needs_of
from skep.versions.kfuncs import GONE

#: Of the programs that 6.18's rules accept and refuse: how many a version did as well, and how many there were.
_HELD: Final = MappingProxyType(
    {
        "6.19": ((2407, 2407), (2806, 2832)),
        "7.0": ((2385, 2386), (2789, 2837)),
        "7.1": ((2372, 2385), (2779, 2838)),
        "7.2": ((2362, 2385), (2777, 2838)),
        "7.3": ((2357, 2386), (2769, 2837)),
    }
)


def judged_for_newer(version: KernelVersion, program: ProgramSpec, report: Report) -> Report:
    """The report on ``program`` by the rules of 6.18, made one for a ``version`` after it."""
    lowest = needs_of(program).lowest
    accepted, refused = _HELD[str(version)]
    did, of = accepted if report.accepted else refused
    does = "accept" if report.accepted else "refuse"
    notes = [f"by the rules of {NEWEST}: of {of:,} programs that they {does}, {version} {does}s {did:,}"]
    gone = _gone(program, version)
    if gone is None:
        return replace(report, kernel=str(version), other_kernel=OtherKernel(version, lowest, (), tuple(notes)))
    slot, name = gone
    return replace(
        report,
        kernel=str(version),
        verdict="reject",
        message=f"extern (func ksym) '{name}': not found in kernel or module BTFs",
        details=(),
        instruction=slot,
        log="",
        other_kernel=OtherKernel(version, lowest, (), ()),
        explanation=Explanation(
            "kernel version",
            f"Linux {version} has no kernel function {name}, which is gone since {GONE[name]}.",
            "Kernel functions are no fixed interface: they come and go, and change their names.",
            "Look for the function that took its place, and declare both as weak.",
        ),
    )


def _gone(program: ProgramSpec, version: KernelVersion) -> tuple[int, str] | None:
    """The first call of a function that is not there any more."""
    for slot, one in sorted(program.references.items()):
        if isinstance(one, KfuncReference) and not one.weak and one.name in GONE and GONE[one.name] <= version:
            return slot, one.name
    return None
