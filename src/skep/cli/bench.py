"""``skep bench``: nanoseconds of one run on each engine, side by side."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from skep.cli.target import choose_program, split_target
from skep.errors import RequestError, SkepError

if TYPE_CHECKING:
    from skep.machine.timing import Timing

#: Packets of a capture that are used; more would leave each of them few runs.
_PACKETS = 256


@click.command("bench", no_args_is_help=True)
@click.argument("target", metavar="OBJECT[:PROGRAM]")
@click.option(
    "--engine", "engines", default="jit,kernel,interpreter", metavar="A,B", show_default=True, help="Which to time."
)
@click.option("--pcap", metavar="FILE", help="Run on the packets of a capture (the first 256).")
@click.option("--data", metavar="HEX", help="Run on one packet (or memory), given as hexadecimal digits.")
@click.option("--type", "type_name", metavar="TYPE", help="The program type, where the section name does not say it.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, metavar="N", help="Take the median of N rounds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    target: str,
    engines: str,
    pcap: str | None,
    data: str | None,
    type_name: str | None,
    rounds: int,
    as_json: bool,
) -> int:
    """Time a program on the JIT, in the kernel and on the interpreter.

    The engines' fixed cost, the time of a program that only returns, is measured too: the last column is without it.
    The JIT verifies it first, outside of the time; so does the kernel.
    """
    from skep import objects
    from skep.cli.diff import chosen_type, given_inputs
    from skep.machine.timing import RUNS, measure

    path, name = split_target(target)
    spec = choose_program(objects.open(path), name)
    chosen = tuple(dict.fromkeys(engines.split(",")))
    if not set(chosen) <= set(RUNS):
        raise RequestError(f"--engine {engines}: name some of {', '.join(RUNS)}, with commas between")
    type = chosen_type(type_name) if type_name else None
    packets = given_inputs(spec, type, pcap, data)
    if packets is None:
        packets = (bytes(64),)
    if not packets:
        raise RequestError("the capture holds no packets", file=pcap)
    timings: list[Timing] = []
    for engine in chosen:
        try:
            timings.append(measure(spec, engine, packets[:_PACKETS], type=type, rounds=rounds))
        except SkepError as error:
            if len(chosen) == 1:
                raise
            # Not a part of the result: the other engines can still be compared.
            print(f"skep: not on {engine}: {error}", file=sys.stderr)
    if as_json:
        for one in timings:
            print(
                json.dumps(
                    {
                        "kind": "bench",
                        "object": spec.file,
                        "program": spec.name,
                        "engine": one.engine,
                        "ns_per_run": round(one.ns, 2),
                        "fixed_ns": round(one.fixed_ns, 2),
                        "runs": one.runs,
                    }
                )
            )
    elif timings:
        _table(spec.name, timings, len(packets[:_PACKETS]))
    return 0 if timings else 2


def _table(name: str, timings: list[Timing], packets: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{name} on {packets} packet{'s' if packets != 1 else ''}",
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
    )
    table.add_column("engine")
    for heading in ("ns a run", f"to {timings[0].engine}", "fixed cost", "without it"):
        table.add_column(heading, justify="right")
    for one in timings:
        table.add_row(
            one.engine,
            f"{one.ns:,.1f}",
            f"{one.ns / max(timings[0].ns, 0.1):.2f}",
            f"{one.fixed_ns:,.1f}",
            f"{max(one.ns - one.fixed_ns, 0):,.1f}",
        )
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
