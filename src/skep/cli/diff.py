"""``skep diff``: the programs of objects on the interpreter, on the JIT and in the kernel, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skep.cli.target import split_target
from skep.errors import RequestError

if TYPE_CHECKING:
    from skep.diff import Outcome
    from skep.objects import ProgramSpec, ProgramType


@click.command("diff", no_args_is_help=True)
@click.argument("targets", nargs=-1, required=True, metavar="OBJECT[:PROGRAM]...")
@click.option("--pcap", metavar="FILE", help="Run on the packets of a capture instead of generated ones.")
@click.option("--data", metavar="HEX", help="Run on this one packet, given as hexadecimal digits.")
@click.option(
    "--inputs", type=click.IntRange(1, 100_000), default=64, metavar="N", help="How many packets to generate."
)
@click.option("--seed", type=int, default=0, metavar="N", help="Generate other packets.")
@click.option(
    "--engines", default="kernel,interpreter,jit", metavar="A,B", show_default=True, help="Which to compare."
)
@click.option("--type", "type_name", metavar="TYPE", help="The program type, where the section name does not say it.")
@click.option("--no-shrink", is_flag=True, help="Show a difference as it was found.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    targets: tuple[str, ...],
    pcap: str | None,
    data: str | None,
    inputs: int,
    seed: int,
    engines: str,
    type_name: str | None,
    no_shrink: bool,
    as_json: bool,
) -> int:
    """Compare what programs do on the interpreter, on the JIT and in this computer's kernel.

    Return values, packets, contexts and maps are compared, and what skep's verifier says with what the kernel's says.
    The exit status is 1 if anything differs; what skep's verifier cannot decide is told and is no difference.
    """
    from skep.diff import ENGINES, Options, compare
    from skep.report.differences import Report

    chosen = tuple(dict.fromkeys(engines.split(",")))
    if len(chosen) < 2 or not set(chosen) <= set(ENGINES):
        raise RequestError(f"--engines {engines}: name two or three of {', '.join(ENGINES)}, with commas between")
    if pcap and data:
        raise RequestError("--pcap and --data are two ways to give the inputs; choose one")
    type = chosen_type(type_name) if type_name else None
    report = Report(as_json=as_json)
    outcomes: list[Outcome] = []
    for spec in _programs(targets):
        options = Options(
            # In an order in which the engine that checks runs before the one that does not.
            engines=tuple(name for name in ENGINES if name in chosen),
            type=type,
            inputs=given_inputs(spec, type, pcap, data),
            count=inputs,
            seed=seed,
            shrink=not no_shrink,
        )
        outcomes.append(compare(spec, options))
        report.outcome(outcomes[-1])
    report.total(outcomes)
    if any(one.differs for one in outcomes):
        return 1
    return 0 if any(one.compared or one.judged for one in outcomes) else 2


def _programs(targets: tuple[str, ...]) -> list[ProgramSpec]:
    from skep import objects

    found: list[ProgramSpec] = []
    for target in targets:
        path, name = split_target(target)
        spec = objects.open(path)
        if not spec.programs:
            raise RequestError("the object has no program to compare", file=path)
        found += [spec[name]] if name is not None else spec.programs.values()
    return found


def given_inputs(
    spec: ProgramSpec, type: ProgramType | None, pcap: str | None, data: str | None
) -> tuple[bytes, ...] | None:
    """The inputs that the user gave, None if they are to be generated."""
    if data is not None:
        try:
            return (bytes.fromhex(data.removeprefix("0x")),)
        except ValueError:
            raise RequestError("--data is not hexadecimal: give two digits a byte, as in 'ff 00 1a'") from None
    if pcap is None:
        return None
    from skep.machine import read_capture
    from skep.machine.runs import frames_for
    from skep.objects import ProgramType

    kind = type if type is not None else spec.type
    return tuple(packet.data for packet in frames_for(kind or ProgramType.RAW, read_capture(pcap)))


def chosen_type(label: str) -> ProgramType:
    """The program type of that name. Raises RequestError."""
    from skep.objects import ProgramType

    for one in ProgramType:
        if one.label == label:
            return one
    raise RequestError(f"there is no program type {label!r}; examples are xdp, sched_cls, socket_filter, raw")
