"""What the answer of 6.18 means for an older kernel: tables of what there was, and honesty about the rest.

What an older kernel does not have, it refuses: that is certain, and the verdict is ``reject``. A program that needs
nothing newer is not proven by the rules of 6.18, which were relaxed over time: the verdict is ``unsupported``, with
what is known. What 6.18 refuses older kernels refuse too, with few exceptions, and the verdict stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from skep.objects.spec import ProgramSpec
from skep.verifier.answers.other_kernel import OtherKernel
from skep.verifier.answers.report import Report
from skep.verifier.explaining.explanation import Explanation
from skep.versions import NEWEST, KernelVersion, Need, Needs, needs_of
from skep.versions.strictness import FOLLOWED_BEFORE_5_2, stricter

#: How many of what is missing are named.
_MOST_NAMED = 6
_MANY_FOLLOWED = KernelVersion(5, 2)
_CONSTANTS_KNOWN = KernelVersion(5, 5)


def judged_for(version: KernelVersion, program: ProgramSpec, report: Report) -> Report:
    """The report on ``program`` by the rules of the newest kernel, made one for ``version``."""
    needs = needs_of(program)
    missing = tuple(one for one in needs.missing(version) if not _is_dead(one, version, report))
    report = replace(report, kernel=str(version), other_kernel=OtherKernel(version, needs.lowest, missing))
    if report.verdict == "reject":
        return _with_notes(report, *_refused_notes(version, missing))
    certain = [one for one in missing if not (needs.asks and one.is_followed)]
    if certain:
        return _rejected(report, certain[0], missing, version, needs.lowest)
    if missing:
        message = (
            f"{missing[0].lacking_in(version)} ({missing[0].age}){_others(missing[1:])}; whether the program does "
            f"without, it finds out by {needs.asks}"
        )
        return replace(report, verdict="unsupported", message=message, instruction=missing[0].instruction)
    return _undecided(report, needs, version)


def _is_dead(need: Need, version: KernelVersion, report: Report) -> bool:
    """Whether it stands only where nothing led, with the constants that the program is built with."""
    if not (need.is_followed and need.places and report.visits and version >= _CONSTANTS_KNOWN and report.accepted):
        return False
    return not any(report.visits[place] for place in need.places)


def _others(others: Sequence[Need]) -> str:
    """What else it does not have, for the end of a clause."""
    if not others:
        return ""
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return ", and " + ", ".join(f"{one.title} ({one.age})" for one in others[:_MOST_NAMED]) + more


def _rejected(
    report: Report, need: Need, missing: tuple[Need, ...], version: KernelVersion, lowest: KernelVersion
) -> Report:
    """Rejected for want of ``need``."""
    where = f" ({need.place})" if need.place else ""
    others = _others([one for one in missing if one is not need])
    explanation = Explanation(
        "kernel version",
        f"{need.lacking_in(version)}, which came {_when(need)}.",
        f"The program needs that{where}{others}. The first version with all that it needs is {lowest}.",
        _advice(need),
    )
    return _with_notes(
        replace(
            report,
            verdict="reject",
            message=need.complaint_of(version),
            details=(),
            instruction=need.instruction,
            explanation=explanation,
            log="",
        )
    )


def _when(need: Need) -> str:
    return f"with {need.since}" if need.latest is None else f"between {need.since} and {need.latest}"


def _advice(need: Need) -> str:
    advice = need.advice
    if not advice:
        return f"Deploy it to Linux {need.surely} or later, or leave {need.title} out."
    return f"{advice}; or deploy it to Linux {need.surely} or later."


def _undecided(report: Report, needs: Needs, version: KernelVersion) -> Report:
    """Nothing is missing, and nothing is proven either."""
    notes = []
    if version < _MANY_FOLLOWED:
        followed = f"; by the rules of {NEWEST} {report.processed:,} are" if report.processed else ""
        notes.append(f"before 5.2 at most {FOLLOWED_BEFORE_5_2:,} instructions were followed{followed}")
    notes += [
        f"it is not known whether {version} has {one.title}, which came between {one.since} and {one.latest}"
        for one in needs.doubtful(version)
    ]
    notes += stricter(needs.program, version)
    notes += [f"{one.title} came with {one.since}: {one.otherwise}" for one in needs.all if one.since > version]
    if needs.unknown:
        notes.append(f"it is not known since when there is {', '.join(needs.unknown)}")
    if needs.asks:
        notes.append(f"what the program does depends on the kernel: it finds out by {needs.asks}")
    if report.verdict == "unsupported":
        message = f"it depends on {report.message}, which is not checked here yet"
        return _with_notes(replace(report, message=message), *notes)
    what = "nothing that the program uses is" if not needs.doubtful(version) else "nothing is known to be"
    message = (
        f"{what} newer than Linux {version}, and the rules of {NEWEST} accept it; "
        f"the verifier of {version} may be stricter"
    )
    return _with_notes(replace(report, verdict="unsupported", message=message), *notes)


def _refused_notes(version: KernelVersion, missing: Sequence[Need]) -> list[str]:
    notes = [f"this is refused by the rules of {NEWEST}; older kernels refuse it too, with few exceptions"]
    if missing:
        notes.append(f"{missing[0].lacking_in(version)} ({missing[0].age}){_others(missing[1:])}")
    return notes


def _with_notes(report: Report, *notes: str) -> Report:
    assert report.other_kernel is not None
    return replace(report, other_kernel=replace(report.other_kernel, notes=notes))
