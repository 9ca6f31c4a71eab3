"""What ``skep needs`` prints: for each program the version of Linux, and what it needs it for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from skep.versions import Need, Needs


class Report:
    """Prints what programs need, one after the other, to standard output."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._is_first = True

    def program(self, needs: Needs) -> None:
        """One program: the newest that it needs first."""
        if self._as_json:
            print(json.dumps(_as_json(needs)))
            return
        if not self._is_first:
            click.echo()
        self._is_first = False
        program = needs.program
        kind = program.type.label if program.type is not None else "of unknown type"
        file = program.file or "memory"
        version = click.style(f"Linux {needs.lowest}{_or_older(needs)}", bold=True)
        if program.name:
            name = click.style(program.name, bold=True)
            click.echo(f"{name} ({kind}, section {program.section}) in {file} needs {version}")
        else:
            click.echo(f"maps in {file} that no program uses, but that loaders make, need {version}")
        _rows(_above_the_oldest(needs.required))
        beside = [need for need in needs.all if not need.is_required and need.since > needs.lowest]
        if beside:
            click.echo("  and uses, where there is that, but does without:")
            width = max(len(need.title) for need in beside)
            for need in beside:
                click.echo(f"    {need.since!s:<5} {need.title:<{width}}  {need.otherwise}")
        if needs.asks:
            click.echo(f"  it finds out what the kernel has by {needs.asks}, and may do without some of it")
        if needs.unknown:
            click.echo(f"  it is not known since when there is {', '.join(needs.unknown)}")

    def together(self, every: Sequence[Needs]) -> None:
        """What all of several programs need."""
        if self._as_json or len(every) < 2:
            return
        most = max(every, key=lambda needs: needs.lowest)
        click.echo()
        click.echo(f"all together need Linux {most.lowest}{_or_older(most)}")


def _rows(needs: Sequence[Need]) -> None:
    width = max((len(_title(need)) for need in needs), default=0)
    for need in needs:
        click.echo(f"    {need.surely!s:<5} {_title(need):<{width}}  {need.place}".rstrip())


def _title(need: Need) -> str:
    return need.title if need.latest is None else f"{need.title} (or earlier, from {need.since} on)"


def _above_the_oldest(needs: Sequence[Need]) -> list[Need]:
    from skep.versions import OLDEST

    return [need for need in needs if need.since > OLDEST]


def _or_older(needs: Needs) -> str:
    return "" if _above_the_oldest(needs.required) else " or an older one"


def _as_json(needs: Needs) -> dict[str, object]:
    program = needs.program
    return {
        "kind": "needs",
        "object": program.file,
        "program": program.name or None,
        "section": program.section or None,
        "type": None if program.type is None else program.type.label,
        "lowest_kernel": str(needs.lowest),
        "needs": [need.as_json() for need in needs.all],
        "unknown": list(needs.unknown),
        "asks": needs.asks,
    }
