"""``skep run``: a program over one input or a whole capture, its return values, maps and messages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skep.cli.kernel_types import kernel_facts
from skep.cli.target import choose_program, split_target
from skep.errors import Fault, RequestError, VerdictError

if TYPE_CHECKING:
    from skep.machine import Machine, Program
    from skep.machine.runs import Progress
    from skep.objects import ProgramSpec, ProgramType, Spec
    from skep.report.results import Report

#: Runs below which no progress bar is shown.
_LONG = 20_000


@click.command("run", no_args_is_help=True)
@click.argument("target", metavar="OBJECT[:PROGRAM]")
@click.option("--pcap", metavar="FILE", help="Run on every packet of a capture (pcap or pcapng).")
@click.option("--data", metavar="HEX", help="Run on one packet (or memory), given as hexadecimal digits.")
@click.option("--data-file", metavar="FILE", help="Run on one packet (or memory), the bytes of a file.")
@click.option("--ctx", metavar="FILE", help="The context to start with, as ctx_in of BPF_PROG_TEST_RUN.")
@click.option("--write-pcap", metavar="FILE", help="Write the packets that the program lets pass, as it leaves them.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="N", help="Run everything N times.")
@click.option("--cpus", type=click.IntRange(1, 1024), default=1, metavar="N", help="Spread the packets over N CPUs.")
@click.option(
    "--engine",
    type=click.Choice(["jit", "interpreter", "kernel"]),
    help="What runs the program; by default the JIT where it pays and the program is trusted. The kernel is this "
    "computer's, and needs the rights.",
)
@click.option("--type", "type_name", metavar="TYPE", help="The program type, where the section name does not say it.")
@click.option("--set-global", "globals_", multiple=True, metavar="NAME=VALUE", help="Set a global before loading.")
@click.option(
    "--btf",
    multiple=True,
    metavar="FILE",
    help="Fit CO-RE relocations to these types of a kernel: FILE, once more for each module; a folder like "
    "/sys/kernel/btf; or 'distribution'.",
)
@click.option("--seed", type=int, metavar="N", help="Start the random numbers, so that two runs are alike.")
@click.option("--no-verify", is_flag=True, help="Trust the program: let the JIT run it without a proof of safety.")
@click.option("--dump-maps", is_flag=True, help="Show the maps afterwards.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    target: str,
    pcap: str | None,
    data: str | None,
    data_file: str | None,
    ctx: str | None,
    write_pcap: str | None,
    repeat: int,
    cpus: int,
    engine: str | None,
    type_name: str | None,
    globals_: tuple[str, ...],
    btf: tuple[str, ...],
    seed: int | None,
    no_verify: bool,
    dump_maps: bool,
    as_json: bool,
) -> int:
    """Run a program of a BPF object over packets, without root and without a kernel (or in the kernel, if asked).

    OBJECT is what clang built; PROGRAM is needed where it has several that nothing else calls.
    """
    from skep.machine import Machine, read_capture
    from skep.report.results import Report

    path, name = split_target(target)
    chosen = choose_program(_open(path, globals_), name)
    type = _program_type(type_name) if type_name else None
    if sum(one is not None for one in (pcap, data, data_file)) > 1:
        raise RequestError("--pcap, --data and --data-file are three ways to give the input; choose one")
    if write_pcap and not pcap:
        raise RequestError("--write-pcap needs the packets of a capture; give one with --pcap")
    if ctx and pcap:
        raise RequestError("--ctx goes with one input, --data or --data-file, not with a capture")
    if engine == "kernel" and (cpus > 1 or seed is not None):
        raise RequestError("the kernel has CPUs and random numbers of its own: leave --cpus and --seed out")
    capture = read_capture(pcap) if pcap is not None else None
    runs = repeat * len(capture.packets) if capture else repeat
    report = Report(as_json=as_json)
    chosen_engine = engine or _default_engine(runs)
    if chosen_engine == "jit" and no_verify:
        report.note(f"program {chosen.name} is trusted: it runs on the JIT without a proof that it is safe")
    with Machine(cpus, engine=chosen_engine, seed=seed, kernel=kernel_facts(btf)) as machine:
        program = _loaded(machine, chosen, type, engine is not None, not no_verify, report)
        fault = None
        try:
            if capture:
                with _progress(runs) as progress:
                    done = machine.run_capture(
                        program, capture, cpus=cpus, repeat=repeat, write=write_pcap, progress=progress
                    )
                report.runs(program, done, cpus, capture.file, write_pcap)
            else:
                packet = _input(program, data, data_file)
                given = _bytes_of(ctx) if ctx else b""
                report.single(program, program.run(packet, context=given, repeat=repeat), repeat)
        except Fault as stopped:
            fault = stopped
            report.fault(program, fault)
        report.trace(machine)
        if dump_maps:
            report.maps(machine)
    return 1 if fault is not None else 0


def _open(path: str, settings: tuple[str, ...]) -> Spec:
    from skep import objects

    spec = objects.open(path)
    for setting in settings:
        variable, equals, value = setting.partition("=")
        if not equals:
            raise RequestError(f"--set-global {setting}: write NAME=VALUE")
        spec = objects.with_global(spec, variable, _value(value))
    return spec


def _value(text: str) -> object:
    """A global's value as people write it: a number in any base, otherwise JSON, otherwise text."""
    import json

    with contextlib.suppress(ValueError):
        return int(text, 0)
    with contextlib.suppress(ValueError):
        value: object = json.loads(text)
        return value
    return text


def _program_type(label: str) -> ProgramType:
    from skep.objects import ProgramType

    for one in ProgramType:
        if one.label == label:
            return one
    raise RequestError(f"there is no program type {label!r}; examples are xdp, sched_cls, socket_filter, raw")


def _default_engine(runs: int) -> str:
    """The JIT where compiling pays; one run is over before LLVM is loaded."""
    return "jit" if runs > 1 else "interpreter"


def _loaded(
    machine: Machine, spec: ProgramSpec, type: ProgramType | None, engine_asked: bool, verify: bool, report: Report
) -> Program:
    """The program on the machine's engine; where nobody asked for that one, on the interpreter if it is not safe."""
    try:
        return machine.load(spec, type=type, verify=verify)
    except VerdictError as refused:
        if engine_asked:
            raise
        why = "is rejected" if refused.verdict == "reject" else "cannot be verified"
        report.note(
            f"program {spec.name} {why} ({refused.message}): it runs on the interpreter, which checks every step"
        )
        return machine.load(spec, type=type, engine="interpreter")


def _input(program: Program, data: str | None, data_file: str | None) -> bytes:
    if data_file is not None:
        return _bytes_of(data_file)
    if data is not None:
        try:
            return bytes.fromhex(data.removeprefix("0x"))
        except ValueError:
            raise RequestError("--data is not hexadecimal: give two digits a byte, as in 'ff 00 1a'") from None
    if program.kind.smallest_input:
        raise RequestError(
            f"a program of type {program.kind.label} needs a packet: give a capture with --pcap, or one packet with "
            f"--data or --data-file"
        )
    return b""


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RequestError(f"the file cannot be read: {error.strerror}", file=path) from None


@contextlib.contextmanager
def _progress(runs: int) -> Iterator[Progress | None]:
    """A progress bar on standard error for long runs on a terminal."""
    import sys

    if runs < _LONG or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("running", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("packets", total=runs)
        yield lambda done: bar.update(task, completed=done)
