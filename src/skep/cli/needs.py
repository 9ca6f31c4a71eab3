"""``skep needs``: the lowest version of Linux that has all that programs use, and what it is that needs it."""

from __future__ import annotations

import click

from skep.cli.target import choose_programs, split_target
from skep.errors import RequestError


@click.command("needs", no_args_is_help=True)
@click.argument("targets", metavar="OBJECT[:PROGRAM]...", nargs=-1, required=True)
@click.option("--type", "type_name", metavar="TYPE", help="The program type, where the section name does not say it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each program.")
def command(targets: tuple[str, ...], type_name: str | None, as_json: bool) -> None:
    """Say which version of Linux each program needs at least, and for what.

    Helpers, kernel functions, maps, program types, instructions and the rest are looked up in tables; nothing is
    loaded. An older verifier may be stricter besides: `skep verify --kernel VERSION` tells what is known of that.
    """
    from skep import objects
    from skep.report.needs import Report
    from skep.versions import needs_beside_programs, needs_of

    report = Report(as_json=as_json)
    found = [needs_of(program) for program in choose_programs(targets, type_name=type_name)]
    if not found:
        raise RequestError(
            'there is no program to look at: functions need a section of their own, as SEC("xdp")', file=targets[0]
        )
    for path, name in map(split_target, targets):
        beside = needs_beside_programs(objects.open(path)) if name is None else None
        if beside is not None and beside.required:
            found.append(beside)
    for needs in found:
        report.program(needs)
    report.together(found)
