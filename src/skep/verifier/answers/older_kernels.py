"""What the verifier's answer means for an older kernel: tables of what there was, and honesty about the rest.

What an older kernel does not have, it refuses: that is certain, and the verdict is ``reject``. What it has is
judged by the rules of 6.18, with those that are known to be younger done as before (:mod:`skep.verifier.rules`).
From 6.1 on, where that was held against real kernels, what these rules accept is accepted, unless the program
touches a rule that is known to be stricter there and is not followed; before 6.1 it is ``unsupported``, with what
is known. What the rules refuse older kernels refuse too, with exceptions that are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from skep.isa.opcodes import PSEUDO_FUNC
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec
from skep.verifier.answers.other_kernel import OtherKernel
from skep.verifier.answers.report import Report
from skep.verifier.explaining.explanation import Explanation
from skep.versions import NEWEST, KernelVersion, Need, Needs, needs_of
from skep.versions.refusals import newer_rule
from skep.versions.strictness import FOLLOWED_BEFORE_5_2, stricter

#: How many of what is missing are named.
_MOST_NAMED = 6
_MANY_FOLLOWED = KernelVersion(5, 2)
_CONSTANTS_KNOWN = KernelVersion(5, 5)


#: The first version that was asked at length: from it on, what the rules of a version accept is accepted.
_MEASURED_FROM = KernelVersion(6, 1)
#: The versions that were asked.
MEASURED = tuple(KernelVersion.of(one) for one in ("6.1", "6.12", "6.16", "6.17", "6.18"))
#: Types whose programs are attached to something that the kernel's types tell of.
_HOOKED = frozenset({ProgramType.TRACING, ProgramType.LSM, ProgramType.STRUCT_OPS})


def judged_for(version: KernelVersion, program: ProgramSpec, report: Report, *, has_types: bool = False) -> Report:
    """The report on ``program`` by the rules of ``version``, as far as they are known, made one for ``version``.

    ``has_types`` says whether the kernel types that it was judged by are those of ``version``.
    """
    needs = needs_of(program)
    missing = tuple(one for one in needs.missing(version) if not _is_dead(one, needs, version, report))
    report = replace(report, kernel=str(version), other_kernel=OtherKernel(version, needs.lowest, missing))
    if report.verdict == "reject":
        why = newer_rule(needs, report.message, version)
        if why and not missing:
            message = (
                f"the rules of {NEWEST} refuse it ({report.message}), and Linux {version} may do otherwise: {why}"
            )
            return replace(report, verdict="unsupported", message=message, details=(), explanation=None)
        return _with_notes(report, *_refused_notes(version, missing))
    settled = has_types and "configuration" not in needs.asks
    certain = [one for one in missing if not (needs.asks and one.is_followed and not settled)]
    if certain:
        return _rejected(report, certain[0], missing, version, needs.lowest)
    if missing:
        message = (
            f"{missing[0].lacking_in(version)} ({missing[0].age}){_others(missing[1:])}; whether the program does "
            f"without, it finds out by {needs.asks}"
        )
        return replace(report, verdict="unsupported", message=message, instruction=missing[0].instruction)
    return _accepted(report, needs, version, has_types)


def _is_dead(need: Need, needs: Needs, version: KernelVersion, report: Report) -> bool:
    """Whether it stands only where nothing led, with the constants that the program is built with."""
    if not (need.is_followed and need.places and report.visits and version >= _CONSTANTS_KNOWN and report.accepted):
        return False
    if need.area == "instruction" and any(
        one.is_wide and one.src == PSEUDO_FUNC for one in needs.program.instructions
    ):
        # Before 6.7 callbacks were followed in other ways.
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


def _accepted(report: Report, needs: Needs, version: KernelVersion, has_types: bool) -> Report:
    """Nothing is missing: accepted, where all that is known to be stricter is done as that version does it."""
    notes = []
    if version < _MANY_FOLLOWED:
        followed = f"; by the rules of {NEWEST} {report.processed:,} are" if report.processed else ""
        notes.append(f"before 5.2 at most {FOLLOWED_BEFORE_5_2:,} instructions were followed{followed}")
    notes += [
        f"it is not known whether {version} has {one.title}, which came between {one.since} and {one.latest}"
        for one in needs.doubtful(version)
    ]
    notes += stricter(needs.program, version)
    without = [one for one in needs.all if one.since > version]
    notes += [f"{one.title} came with {one.since}: {one.otherwise}" for one in without if one.area == "map field"]
    if needs.unknown:
        notes.append(f"it is not known since when there is {', '.join(needs.unknown)}")
    if needs.asks and not (has_types and "configuration" not in needs.asks):
        notes.append(f"what the program does depends on the kernel: it finds out by {needs.asks}")
    if not has_types and (needs.program.core_relocations or needs.program.type in _HOOKED):
        notes.append(f"it depends on the types of the kernel: give those of {version} (--btf)")
    doubts = bool(notes)
    notes += [f"{one.title} came with {one.since}: {one.otherwise}" for one in without if one.area != "map field"]
    if report.verdict == "unsupported":
        message = f"it depends on {report.message}, which is not checked here yet"
        return _with_notes(replace(report, message=message), *notes)
    if report.verdict == "accept" and version >= _MEASURED_FROM and not doubts:
        if version not in MEASURED:
            asked = ", ".join(str(one) for one in MEASURED)
            notes.append(f"no {version} was asked: its rules are known from the versions beside it ({asked})")
        return _with_notes(report, *notes)
    what = "nothing that the program uses is" if not needs.doubtful(version) else "nothing is known to be"
    message = (
        f"{what} newer than Linux {version}, and the rules of {NEWEST} accept it; "
        f"the verifier of {version} may be stricter"
    )
    return _with_notes(replace(report, verdict="unsupported", message=message), *notes)


def _refused_notes(version: KernelVersion, missing: Sequence[Need]) -> list[str]:
    notes = [f"this is refused by the rules of {NEWEST}, with those of {version} where they are known to differ"]
    if missing:
        notes.append(f"{missing[0].lacking_in(version)} ({missing[0].age}){_others(missing[1:])}")
    return notes


def _with_notes(report: Report, *notes: str) -> Report:
    assert report.other_kernel is not None
    return replace(report, other_kernel=replace(report.other_kernel, notes=notes))
