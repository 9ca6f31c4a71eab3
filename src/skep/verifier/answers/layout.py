"""A report laid out as lines for a person: the same with and without colour, at any width.

Each line has a style by name; who prints them chooses what that looks like, or leaves it out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from skep.objects.spec import ProgramSpec, SourceLine
from skep.verifier.answers.cost import LIMIT
from skep.verifier.answers.listing import Listing
from skep.verifier.answers.report import NO_TARGET, Report

Style = Literal["", "heading", "message", "code", "fault", "dim", "advice"]

_NARROWEST = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One line and what it is."""

    text: str
    style: Style = ""


def lines_of(report: Report, width: int = 80) -> list[Line]:
    """The answer, no line wider than ``width`` where words permit it; source lines and assembly are cut."""
    width = max(width, _NARROWEST)
    match report.verdict:
        case "accept":
            return [*_accepted(report, width), *_notes(report, width)]
        case "unsupported":
            return list(_undecided(report, width))
        case _:
            return list(_rejected(report, width))


def _wrapped(
    text: str, width: int, indent: str = "  ", style: Style = "", first: str | None = None
) -> Iterator[Line]:
    start = indent if first is None else first
    for line in textwrap.wrap(
        text,
        width,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield Line(line, style)


def _cut(text: str, width: int) -> str:
    text = text.expandtabs(4).rstrip()
    return text if len(text) <= width else text[: width - 3] + "..."


# Rejected, or not decided.


def _rejected(report: Report, width: int) -> Iterator[Line]:
    yield from _wrapped(report.message, width, style="message")
    explanation = report.explanation
    if explanation is not None:
        yield Line("")
        yield from _wrapped(f"{explanation.category}: {explanation.problem}", width, style="heading")
        yield from _wrapped(explanation.reason, width)
    yield from _place(report, width)
    if explanation is not None and explanation.path and report.program is not None:
        yield Line("")
        yield Line("  how it came to this", "heading")
        yield from _path(report, width)
    if explanation is not None:
        yield Line("")
        yield Line("  what to do", "heading")
        yield from _wrapped(explanation.suggestion, width, indent="    ", style="advice")
    if report.details:
        yield Line("")
        yield Line("  the kernel says", "heading")
        for detail in (*report.details, report.message):
            yield Line(f"    {detail}", "dim")
    yield from _notes(report, width)


def _undecided(report: Report, width: int) -> Iterator[Line]:
    why = report.message
    if report.other_kernel is None:
        # Some say themselves why.
        unchecked = "" if why == NO_TARGET or ", which " in why else ", which is not checked here yet"
        why = f"it depends on {why}{unchecked}"
    yield from _wrapped(f"cannot be decided: {why}", width, style="message")
    yield from _place(report, width)
    yield from _notes(report, width)


def _notes(report: Report, width: int) -> Iterator[Line]:
    """What the answer for another kernel rests on."""
    notes = () if report.other_kernel is None else report.other_kernel.notes
    if notes:
        yield Line("")
        yield Line(f"  on Linux {report.kernel}", "heading")
    for note in notes:
        yield from _wrapped(note, width, indent="      ", first="    - ")


def _place(report: Report, width: int) -> Iterator[Line]:
    """Where it went wrong: the instruction, and the C lines around its own."""
    program, slot = report.program, report.instruction
    if program is None or slot is None:
        return
    listing = Listing(program)
    yield Line("")
    source = report.source
    where = f"{_file(source)}:{source.line}, " if source is not None and source.line else ""
    text = f"  {where}instruction {slot}"
    if slot < len(program.instructions):
        text += f": {listing.text(slot)}"
    yield Line(_cut(text, width))
    if source is None or not source.text.strip():
        return
    around = listing.around(source)
    digits = max(len(str(number)) for number, _ in around)
    for number, quoted in around:
        mark = ">" if number == source.line else " "
        text = _cut(f"  {mark} {number:>{digits}} | {quoted.expandtabs(4)}", width)
        yield Line(text, "fault" if mark == ">" else "code")


def _path(report: Report, width: int) -> Iterator[Line]:
    """The steps that led there, under the source lines that they belong to."""
    assert report.explanation is not None
    steps = report.explanation.path
    digits = max(len(str(step.instruction)) for step in steps)
    last: SourceLine | None = None
    for step in steps:
        source = step.source
        same_line = source is not None and last is not None and (source.file, source.line) == (last.file, last.line)
        if source is not None and source.text.strip() and not same_line:
            yield Line(_cut(f"    line {source.line}: {source.text.strip()}", width), "code")
        last = source
        yield Line(_cut(f"    {step.instruction:>{digits}}  {step.text}", width), "dim")
        yield from _wrapped(step.what, width, indent=" " * (digits + 8))


def _file(source: SourceLine) -> str:
    return source.file.rpartition("/")[2]


# Accepted.


def _accepted(report: Report, width: int) -> Iterator[Line]:
    followed = f"{_counted(report.processed, 'instruction')} followed"
    states = f"{_counted(report.peak_states, 'state')} at most" if report.peak_states else "no state kept"
    yield from _wrapped(f"{followed}, {_share(report.processed)} of the limit; {states}", width)
    yield from _wrapped(f"stack: {_stack(report)}", width)
    program = report.program
    if program is None:
        return
    hot = report.hottest
    if hot:
        yield Line("  followed most often", "heading")
        most = len(f"{hot[0].times:,}")
        for one in hot:
            text = f"    {one.times:>{most},} times  {_spot(program, one.instruction, one.source)}"
            yield Line(_cut(text, width))
    costly = report.costliest
    if costly is not None and costly.instructions > 1:
        if costly.kind == "loop":
            what = f"the loop from instruction {costly.first} to {costly.last}"
        else:
            what = f"the branch at instruction {costly.first}, of which both ways are possible"
        line = "" if costly.source is None or not costly.source.line else f" (line {costly.source.line})"
        share = f"{100 * costly.instructions / max(report.processed, 1):.0f}% of all"
        yield from _wrapped(
            f"costs most: {what}{line}: {costly.instructions:,} instructions, {share}, "
            f"{_share(costly.instructions)} of the limit",
            width,
        )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _share(count: int) -> str:
    percent = 100 * count / LIMIT
    return f"{percent:.1f}%" if percent >= 1 else f"{percent:.2f}%" if percent >= 0.01 else "less than 0.01%"


def _stack(report: Report) -> str:
    depths = report.stack_depth
    names = [one.name for one in report.program.functions] if report.program is not None else []
    if len(depths) > 1 and len(names) == len(depths):
        return ", ".join(f"{name} {depth}" for name, depth in zip(names, depths, strict=True)) + " bytes"
    return f"{sum(depths)} bytes"


def _spot(program: ProgramSpec, slot: int, source: SourceLine | None) -> str:
    if source is not None and source.text.strip():
        return f"line {source.line}: {source.text.strip()}"
    return f"instruction {slot}: {Listing(program).text(slot)}"
