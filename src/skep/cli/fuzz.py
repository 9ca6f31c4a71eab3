"""``skep fuzz``: random programs through interpreter, JIT and kernel; what differs is kept and can be replayed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skep.errors import KernelError, RequestError

if TYPE_CHECKING:
    from skep.fuzz.session import Session


@click.command("fuzz")
@click.option(
    "--against",
    type=click.Choice(["kernel"]),
    help="Insist on the kernel; by default it takes part where this process has the rights.",
)
@click.option(
    "--verdicts",
    is_flag=True,
    help="Compare what skep's verifier and the kernel's say, of each program and of the same with some damage.",
)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=60.0, metavar="N", show_default=True)
@click.option("--jobs", type=click.IntRange(1, 256), default=1, metavar="N", help="Processes.", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Which programs; by default others each time.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("fuzz-findings"),
    metavar="DIR",
    show_default=True,
    help="Where differences are kept.",
)
@click.option("--replay", metavar="FILE", help="Run one kept difference again, and do nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    against: str | None,
    verdicts: bool,
    seconds: float,
    jobs: int,
    seed: int | None,
    save: Path,
    replay: str | None,
    as_json: bool,
) -> int:
    """Run random programs, valid by construction, on the interpreter, on the JIT and in this computer's kernel.

    The exit status is 1 if they differ on any. Each difference is made small and kept as a file.
    """
    from skep.engines.kernel import missing_right
    from skep.objects import ProgramType

    lacking = missing_right(ProgramType.XDP)
    if lacking and (against or verdicts):
        raise KernelError(f"the kernel cannot be compared with: {lacking}")
    if lacking:
        print(f"skep: without the kernel: {lacking}", file=sys.stderr)
    if replay is not None:
        return _replay(replay, kernel=not lacking, as_json=as_json)
    from secrets import randbelow

    from skep.fuzz.session import run

    chosen = randbelow(1 << 24) if seed is None else seed
    shown = _progress if sys.stderr.isatty() else None
    session = run(chosen, seconds, jobs=jobs, kernel=not lacking, verdicts=verdicts, directory=save, progress=shown)
    if shown:
        print(file=sys.stderr)
    _report(session, as_json)
    if session.interrupted:
        raise KeyboardInterrupt
    return 1 if session.files else 0


def _replay(path: str, *, kernel: bool, as_json: bool) -> int:
    from skep.diff import ENGINES, Options, compare
    from skep.fuzz.case import read_case
    from skep.report.differences import Report

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RequestError(f"the case cannot be read: {reason}", file=path) from None
    case = read_case(text, path)
    engines = tuple(name for name in ENGINES if kernel or name != "kernel")
    outcome = compare(case.spec, Options(engines=engines, inputs=case.inputs, level=case.level, shrink=False))
    Report(as_json=as_json).outcome(outcome)
    return 1 if outcome.differs else 0


def _progress(session: Session) -> None:
    tally = session.tally
    print(
        f"\r{tally.programs:,} programs in {session.seconds:.0f} s, {len(session.files)} differences",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _report(session: Session, as_json: bool) -> None:
    tally = session.tally
    if as_json:
        print(
            json.dumps(
                {
                    "kind": "fuzz",
                    "seed": session.seed,
                    "jobs": session.jobs,
                    "kernel": session.kernel,
                    "seconds": round(session.seconds, 1),
                    "processor_seconds": round(tally.processor_seconds, 1),
                    "programs": tally.programs,
                    "instructions": tally.instructions,
                    "runs": tally.runs,
                    "rejected": tally.rejected,
                    "reasons": dict(tally.reasons.most_common()),
                    "judged": tally.judged,
                    "disputed": tally.disputed,
                    "undecided": dict(tally.undecided.most_common()),
                    "differences": [str(path) for path in session.files],
                }
            )
        )
        return
    engines = "kernel, interpreter and jit" if session.kernel else "interpreter and jit"
    print(
        f"{tally.programs:,} programs ({tally.instructions:,} instructions, {tally.runs:,} runs) on {engines} in "
        f"{session.seconds:.1f} s, {session.rate:.0f} for a second of one processor; seed {session.seed}"
    )
    if tally.programs and session.kernel:
        print(f"the kernel rejected {tally.rejected:,} ({tally.rejected / tally.programs:.2%})")
        for reason, count in tally.reasons.most_common():
            print(f"  {count:6,}  {reason}")
    if tally.judged:
        undecided = tally.undecided.total()
        print(
            f"{tally.judged:,} verdicts compared, {tally.disputed:,} differ; skep cannot decide {undecided:,} "
            f"({undecided / tally.judged:.2%})"
        )
        for what, count in tally.undecided.most_common(10):
            print(f"  {count:6,}  {what}")
    if session.files:
        print(f"{len(session.files)} differ:")
        for path in session.files:
            print(f"  {path}: run it again with skep fuzz --replay {path}")
    else:
        print("no difference")
