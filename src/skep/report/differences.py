"""What ``skep diff`` prints: a line for a program that is the same everywhere, all that is known of any other."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skep import programs
from skep.diff.text import listing_of
from skep.report.results import hex_dump

if TYPE_CHECKING:
    from rich.console import Console

    from skep.diff import Difference, Outcome

#: Differences that are shown of one program; JSON has them all.
_SHOWN = 12
#: How an answer is said of a verifier.
_WORDS = {"reject": "refuses it", "unsupported": "cannot decide whether Linux accepts it"}
#: Inputs that are shown.
_INPUTS = 4
#: Bytes of a value that are shown before and behind the first that differs.
_AROUND = 8


class Report:
    """Prints outcomes as they come, to standard output."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._console: Console | None = None

    def outcome(self, outcome: Outcome) -> None:
        """One program."""
        if self._as_json:
            print(json.dumps(_object(outcome)))
            return
        self._print(_summary(outcome))
        if outcome.disputed:
            self._dispute(outcome)
        if outcome.differences:
            self._details(outcome)

    def total(self, outcomes: Sequence[Outcome]) -> None:
        """How many were compared, and how many differ."""
        if self._as_json:
            return
        compared = [one for one in outcomes if one.compared]
        differ = sum(bool(one.differences) for one in compared)
        rest = len(outcomes) - len(compared)
        judged = sum(one.judged for one in outcomes)
        disputed = sum(one.disputed for one in outcomes)
        unsupported = sum(any(each.answer == "unsupported" for each in one.verdicts.values()) for one in outcomes)
        parts = [
            f"{_counted(count, noun)} compared, {f'{wrong} differ' if wrong else 'no difference'}"
            for count, noun, wrong in ((len(compared), "program", differ), (judged, "verdict", disputed))
            if count
        ]
        parts += [f"{_counted(rest, 'program')} could not be run on two engines"] if rest else []
        parts += [f"skep's verifier cannot decide {unsupported}"] if unsupported else []
        self._print("; ".join(parts))

    def _dispute(self, outcome: Outcome) -> None:
        """The two verdicts, one above the other, and the smallest program that gets them."""
        width = max(map(len, outcome.verdicts))
        for name, one in outcome.verdicts.items():
            self._print(f"  {name:<{width}}  {one}")
        if outcome.reduced_disputed is not None:
            size = len(outcome.reduced_disputed.instructions)
            self._print(f"the smallest program found that gets these verdicts, {size} slots:")
            self._print(listing_of(outcome.reduced_disputed))

    def _details(self, outcome: Outcome) -> None:
        from rich.table import Table

        table = Table(header_style="dim", box=None, pad_edge=False)
        table.add_column("what")
        for name in outcome.engines:
            table.add_column(name)
        for one in outcome.differences[:_SHOWN]:
            table.add_row(_what(one), *_cells(one, outcome))
        hidden = len(outcome.differences) - _SHOWN
        if hidden > 0:
            table.caption, table.caption_justify = f"{hidden} more", "left"
        self._print(table)
        # Without shrinking there may be many; the last that was run is the one that shows it.
        places = [one.place for one in outcome.differences if isinstance(one.place, int)]
        last = min(places, default=len(outcome.inputs) - 1)
        if last >= _INPUTS:
            self._print(f"inputs 0 to {last - _INPUTS} came before those shown here")
        for number in range(max(last - _INPUTS + 1, 0), last + 1):
            data = outcome.inputs[number]
            self._print(f"input {number}: {len(data)} bytes, {data.hex()}")
            self._print(hex_dump(data))
        if outcome.reduced is not None:
            self._print(f"the smallest program found that shows it, {len(outcome.reduced.instructions)} slots:")
            self._print(listing_of(outcome.reduced))

    def _print(self, what: object) -> None:
        if self._console is None:
            from rich.console import Console

            width = None if sys.stdout.isatty() else 160
            self._console = Console(width=width, highlight=False, soft_wrap=True)
        self._console.print(what, markup=False)


def _summary(outcome: Outcome) -> str:
    spec = outcome.spec
    label = f"{spec.file}:{spec.name}" if spec.file else spec.name
    missing = [
        f"not on {_and([name for name, same in outcome.missing.items() if same == why])}: {why}"
        for why in dict.fromkeys(outcome.missing.values())
    ]
    if not outcome.engines and len(missing) == 1:
        missing = [next(iter(outcome.missing.values()))]
    if not outcome.compared:
        why = missing if missing or outcome.fault else ["no engine took any of the inputs"]
        why += [f"the interpreter stopped it on the first input: {outcome.fault}"] if outcome.fault else []
        return "; ".join([f"{label}: not compared", *why, *_verdicts(outcome)])
    verdict = "DIFFERS" if outcome.differences else "the same"
    notes = [f"{label}: {verdict} on {_and(outcome.engines)}, {_counted(outcome.tried, 'input')}"]
    notes += [f"{_counted(outcome.refused, 'input')} refused"] if outcome.refused else []
    notes += [f"with constants for what {_and(outcome.replaced)} return"] if outcome.replaced else []
    if outcome.fault:
        notes += [f"on the next one the interpreter stopped it, and the JIT was kept from it: {outcome.fault}"]
    notes += ["without what it reads from the stack before writing it"] if outcome.unwritten else []
    return "; ".join([*notes, *missing, *_verdicts(outcome)])


def _verdicts(outcome: Outcome) -> list[str]:
    """What verifiers say, in a few words; nothing where they say the same, and say yes."""
    if outcome.disputed:
        return ["the VERDICTS DIFFER"]
    return [
        f"{'skep' if name == 'skep' else 'the kernel'} {_WORDS[one.answer]}: {one.message}"
        for name, one in outcome.verdicts.items()
        if one.answer != "accept"
    ][:1]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _what(one: Difference) -> str:
    if one.what != "map":
        return f"{one.what} of input {one.place}"
    return f"map {one.place}[{one.key.hex() if one.key is not None else ''}]"


def _cells(one: Difference, outcome: Outcome) -> list[str]:
    """What each engine shows, of bytes the part around the first that differs."""
    values = [one.seen.get(name) for name in outcome.engines]
    data = [value for value in values if isinstance(value, bytes)]
    first = 0
    if len(data) == len(values):
        shortest = min(map(len, data))
        first = next((at for at in range(shortest) if len({value[at] for value in data}) > 1), shortest)
    return [
        _cell(value, name in one.seen, first, one, outcome)
        for name, value in zip(outcome.engines, values, strict=True)
    ]


def _cell(value: int | bytes | str | None, ran: bool, first: int, one: Difference, outcome: Outcome) -> str:
    if not ran:
        return "not run"
    if isinstance(value, bytes):
        start = max(first - _AROUND, 0)
        part = value[start : first + _AROUND]
        before = f"at {start}: " if start else ""
        return f"{len(value)} bytes, {before}{part.hex(' ')}{' …' if first + _AROUND < len(value) else ''}"
    if value is None:
        return "no element" if one.what == "map" else "none"
    if isinstance(value, int):
        kind = programs.KINDS.get(outcome.spec.type) if outcome.spec.type is not None else None
        name = kind.return_name(value) if kind else None
        return f"{name} ({value:#x})" if name else f"{value:#x}"
    return value


def _object(outcome: Outcome) -> dict[str, object]:
    spec = outcome.spec
    return {
        "kind": "diff",
        "object": spec.file,
        "program": spec.name,
        "type": spec.type.label if spec.type is not None else None,
        "engines": list(outcome.engines),
        "missing": dict(outcome.missing),
        "verdicts": {
            name: {"verdict": one.answer, "message": one.message or None} for name, one in outcome.verdicts.items()
        },
        "same_verdict": not outcome.disputed if outcome.judged else None,
        "constants": list(outcome.replaced),
        "inputs": outcome.tried,
        "refused": outcome.refused,
        "unwritten_stack": outcome.unwritten,
        "fault": outcome.fault or None,
        "same": not outcome.differences if outcome.compared else None,
        "differences": [
            {
                "what": one.what,
                "place": one.place,
                "key": one.key.hex() if one.key is not None else None,
                "seen": {
                    name: value.hex() if isinstance(value, bytes) else value for name, value in one.seen.items()
                },
            }
            for one in outcome.differences
        ],
        "smallest_inputs": [data.hex() for data in outcome.inputs],
        "smallest_program": listing_of(outcome.reduced) if outcome.reduced is not None else None,
        "smallest_disputed": (listing_of(outcome.reduced_disputed) if outcome.reduced_disputed is not None else None),
    }
