"""``skep verify``: would Linux accept the programs of an object, and if not, why and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import click

from skep.cli.kernel_types import kernel_facts
from skep.cli.target import choose_programs, with_target
from skep.errors import RequestError

if TYPE_CHECKING:
    from skep.objects import ProgramSpec
    from skep.objects.fitting import KernelFacts
    from skep.verifier import Report


@click.command("verify", no_args_is_help=True)
@click.argument("targets", metavar="OBJECT[:PROGRAM]...", nargs=-1, required=True)
@click.option("--program", "names", multiple=True, metavar="NAME", help="Only programs of this name.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Verify N programs at a time.  [default: as many as there are processors]",
)
@click.option(
    "--kernel",
    default="6.18",
    show_default=True,
    metavar="VERSION",
    help="The kernel to judge for: an older one refuses what it does not have, a newer one is judged as 6.18.",
)
@click.option("--type", "type_name", metavar="TYPE", help="The program type, where the section name does not say it.")
@click.option(
    "--target",
    "other",
    metavar="OBJECT[:PROGRAM]",
    help='The program that those of SEC("freplace/…") replace a function of, or fentry and fexit watch one of.',
)
@click.option(
    "--btf",
    multiple=True,
    metavar="FILE",
    help="The kernel's types: FILE, once more for each module; a folder like /sys/kernel/btf; or 'distribution'.",
)
@click.option(
    "--log-level",
    type=click.Choice(["0", "1", "2", "4"]),
    default="0",
    show_default=True,
    help="Print the log in the kernel's format: 1 the path that is rejected, 2 all paths, 4 the sums.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each program.")
def command(
    targets: tuple[str, ...],
    names: tuple[str, ...],
    jobs: int | None,
    kernel: str,
    type_name: str | None,
    other: str | None,
    btf: tuple[str, ...],
    log_level: str,
    as_json: bool,
) -> int:
    """Say of each program whether Linux would accept it, and if not, why.

    Nothing is loaded: neither a kernel nor rights are needed. Exit status: 0 all accepted, 1 one is rejected or
    cannot be decided, 2 the request is bad.
    """
    from skep.report.verdicts import Report as Printer

    if kernel != "6.18":
        from skep.versions import KernelVersion

        KernelVersion.parse(kernel)
    programs = list(choose_programs(targets, names, type_name))
    if not programs:
        raise RequestError(
            'there is no program to verify: programs need a section of their own, as SEC("xdp"), or --type',
            file=targets[0],
        )
    if other is not None:
        programs = [with_target(program, other) for program in programs]
    printer = Printer(as_json=as_json, several=len(programs) > 1)
    reports = []
    for report in _reports(programs, jobs or _jobs(programs), kernel, btf, int(log_level)):
        printer.verdict(report)
        reports.append(report)
    printer.summary(reports)
    return 0 if all(report.accepted for report in reports) else 1


#: Slots in all below which a second process takes longer to start than it saves.
_SMALL = 1000


def _jobs(programs: list[ProgramSpec]) -> int:
    """How many processes are worth it."""
    if sum(len(one.instructions) for one in programs) < _SMALL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reports(
    programs: list[ProgramSpec], jobs: int, kernel: str, btf: tuple[str, ...], log_level: int
) -> Iterator[Report]:
    """The reports in the order of the programs. Processes are forked, so that they have the objects already."""
    if jobs == 1 or len(programs) < 2:
        for program in programs:
            yield _verified(program, kernel, btf, log_level)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    global _shared
    _shared = programs
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(jobs, len(programs)), mp_context=context) as pool:
        waiting = [pool.submit(_verified_by_number, index, kernel, btf, log_level) for index in range(len(programs))]
        for index, one in enumerate(waiting):
            try:
                report = one.result()
            except BrokenProcessPool:
                raise RequestError(
                    f"the process that verified {programs[index].name!r} or one after it was ended from outside, "
                    f"perhaps for want of memory; try --jobs 1",
                    file=programs[index].file,
                ) from None
            yield report.of(programs[index])


#: The programs that the processes of a pool work on.
_shared: list[ProgramSpec] = []


def _verified_by_number(index: int, kernel: str, btf: tuple[str, ...], log_level: int) -> Report:
    # Specs hold mappings that do not travel between processes; the parent puts its own back.
    return _verified(_shared[index], kernel, btf, log_level).of(None)


def _verified(program: ProgramSpec, kernel: str, btf: tuple[str, ...], log_level: int) -> Report:
    from skep.verifier import verify

    asks = any(map.configuration for map in program.maps.values())
    return verify(
        program, kernel=kernel, log_level=log_level, facts=_running() if asks and not btf else kernel_facts(btf)
    )


@cache
def _running() -> KernelFacts | None:
    """The running kernel, for programs that ask for its configuration, if it tells that and its types."""
    from skep.engines.kernel.kconfig import kernel_config
    from skep.engines.kernel.running import RUNNING_KERNEL
    from skep.errors import KernelError

    try:
        RUNNING_KERNEL.types()
        kernel_config()
    except KernelError:
        return None
    return RUNNING_KERNEL
