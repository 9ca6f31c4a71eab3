"""A session: processes that make, run and compare programs until the time is over, and what they find, as files.

The work is done in processes of its own, because wrong code may end one or never end: then the program that did it
is looked for one by one, and is a finding like any other.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from skep.errors import KernelError, SkepError
from skep.fuzz.batch import LEVELS, Bench, Dispute, Finding, Tally, general
from skep.fuzz.case import DIFFERENCE, DISPUTE, Case
from skep.fuzz.generate import program
from skep.fuzz.inputs import inputs_of

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

#: Programs that are compiled together: what helpers they call is compiled once for all of them.
BATCH = 300
#: Differences that one process makes smaller; further ones are kept as they are.
_SHRUNK = 5
#: Seconds for making a program that verifiers disagree on smaller, in which skep's may follow so many instructions.
_SHRINK_SECONDS, _FOLLOWED = 10.0, 20_000
#: Programs that verifiers are asked about before the clock is looked at.
_JUDGED = 20
#: Batches between two collections of garbage.
_COLLECTED = 10
#: After so many findings a process has nothing new to say.
_ENOUGH = 50
#: Seconds without a word after which a process is taken for stuck.
_STUCK = 120.0
#: How a process ends that an exception has ended.
_FAILED = 1
#: Programs have numbers from the session's seed times this.
_STRIDE = 1 << 32


@dataclass(frozen=True, slots=True)
class Batch:
    """The programs of consecutive numbers, to be compiled at one level."""

    first: int
    count: int
    level: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A case as a file, which travels between processes as a program does not."""

    name: str
    text: str


@dataclass
class Session:
    """What a session came to. ``files`` are the cases that were written, ``seconds`` how long it took.

    ``interrupted`` says that it was ended before its time; what had been finished by then is counted.
    """

    seed: int
    jobs: int
    kernel: bool
    verdicts: bool = False
    tally: Tally = field(default_factory=Tally)
    files: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def rate(self) -> float:
        """Programs for a second of one processor."""
        return self.tally.programs / self.tally.processor_seconds if self.tally.processor_seconds else 0.0


def run(
    seed: int,
    seconds: float,
    *,
    jobs: int = 1,
    kernel: bool = True,
    verdicts: bool = False,
    directory: Path,
    progress: Callable[[Session], None] | None = None,
) -> Session:
    """Fuzz for ``seconds`` in ``jobs`` processes; cases go to ``directory``, which is made if there is one.

    With ``verdicts``, what skep's verifier says of each program is held against what the kernel's says, and of each
    program with some damage too.

    Raises KernelError where the kernel was asked for and does not let this process use bpf(2).
    """
    session = Session(seed, jobs, kernel, verdicts)
    started = time.monotonic()
    workers = [_Worker(session, number, started + seconds) for number in range(jobs)]
    try:
        while any(one.running for one in workers):
            ready = wait([one.connection for one in workers if one.running], timeout=1.0)
            for one in workers:
                if one.running:
                    one.listen(one.connection in ready, directory)
            if progress is not None:
                session.seconds = time.monotonic() - started
                progress(session)
    except KeyboardInterrupt:
        # Who has seen enough still wants to know what it came to.
        session.interrupted = True
    finally:
        for one in workers:
            one.stop()
    session.seconds = time.monotonic() - started
    return session


class _Worker:
    """One process, started again where it died."""

    def __init__(self, session: Session, number: int, end: float) -> None:
        self._session = session
        self._end = end
        self._index = number
        self.batch: Batch | None = None
        self.running = True
        self._start()

    def _start(self) -> None:
        self.heard = time.monotonic()
        self.process, self.connection = _spawn(_work, self._session, self._index, self._end - time.monotonic())

    def listen(self, ready: bool, directory: Path) -> None:
        """Take what the process says; look for the reason where it says nothing any more."""
        if not ready:
            if time.monotonic() - self.heard > _STUCK:
                self.process.kill()
            return
        self.heard = time.monotonic()
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            self._died(directory)
            return
        match message:
            case Batch():
                self.batch = message
            case Tally():
                self._session.tally.add(message)
                self.batch = None
                self._index += self._session.jobs
            case Kept():
                self._session.files.append(_write(message, directory))
            case KernelError():
                self.running = False
                raise message
            case _:
                self.running = False

    def _died(self, directory: Path) -> None:
        batch, self.batch = self.batch, None
        if self.process.exitcode == _FAILED:
            # A defect of the fuzzer itself, which has said so; no program is to blame.
            self.running = False
            raise SkepError("a process of the session ended with an error; what it was stands above")
        if batch is None:
            # Nothing was running: there is no program to blame, and no use in trying again.
            self.running = False
            return
        for seed in range(batch.first, batch.first + batch.count):
            if problem := _ends(self._session, Batch(seed, 1, batch.level)):
                spec = program(seed)
                remarks = (f"the process {problem} while it compiled or ran this program",)
                self._session.files.append(
                    _write(_kept(Case(spec, inputs_of(seed), batch.level, seed, remarks)), directory)
                )
        self._index += self._session.jobs
        if time.monotonic() < self._end:
            self._start()
        else:
            self.running = False

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.running = False
        self.process.join(timeout=0.5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _spawn(target: Callable[..., None], *arguments: object) -> tuple[SpawnProcess, Connection]:
    """A process that runs ``target`` with a connection to here and ``arguments``."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _ends(session: Session, batch: Batch) -> str:
    """How a process that runs one batch alone ends, empty if it ends well."""
    process, connection = _spawn(_work_once, session.kernel, batch)
    process.join(timeout=_STUCK / 4)
    connection.close()
    if process.exitcode is None:
        process.kill()
        process.join()
        return "did not end"
    return f"was ended by signal {-process.exitcode}" if process.exitcode < 0 else ""


def _work_once(connection: Connection, kernel: bool, batch: Batch) -> None:
    with Bench(kernel=kernel) as bench:
        list(bench.compare(range(batch.first, batch.first + batch.count), batch.level, Tally()))


def _work(connection: Connection, session: Session, index: int, seconds: float) -> None:
    """Batches until the time is over; says what it is at and what came of it."""
    end = time.monotonic() + seconds
    found = 0
    #: The disputes that were told of, each without what is only of one program.
    disputes: set[tuple[str, ...]] = set()
    # Programs are many small values without cycles: looking for cycles among them takes a fifth of the time.
    gc.disable()
    with suppress(KeyboardInterrupt, BrokenPipeError):
        try:
            with Bench(kernel=session.kernel) as bench:
                while time.monotonic() < end and found < _ENOUGH:
                    level = LEVELS[index // session.jobs % len(LEVELS)]
                    batch = Batch(session.seed * _STRIDE + index * BATCH, BATCH, level)
                    connection.send(batch)
                    tally = Tally()
                    started = time.process_time()
                    for finding in bench.compare(range(batch.first, batch.first + batch.count), level, tally):
                        found += 1
                        connection.send(_kept(_case(finding, session.kernel, shrink=found <= _SHRUNK)))
                    numbers = range(batch.first, batch.first + batch.count) if session.verdicts else range(0)
                    for start in range(0, len(numbers), _JUDGED):
                        if time.monotonic() >= end:
                            break
                        for dispute in bench.judge(numbers[start : start + _JUDGED], tally):
                            said = tuple(general(str(one)) for one in dispute.verdicts.values())
                            if said not in disputes:
                                disputes.add(said)
                                connection.send(_kept(_disputed(dispute, shrink=len(disputes) <= _SHRUNK)))
                    if index // session.jobs % _COLLECTED == 0:
                        gc.collect()
                    tally.processor_seconds = time.process_time() - started
                    connection.send(tally)
                    index += session.jobs
        except KernelError as error:
            connection.send(error)
        connection.send(None)


def _case(finding: Finding, kernel: bool, *, shrink: bool) -> Case:
    """A finding as a case, made smaller if it also shows alone."""
    from skep.diff.comparison import ENGINES, Options, compare
    from skep.diff.observation import differences

    spec, inputs = program(finding.seed), inputs_of(finding.seed)
    remarks = [_sentence(one.what, one.place, one.key, one.seen) for one in differences(finding.observed)]
    engines = tuple(name for name in ENGINES if kernel or name != "kernel")
    outcome = compare(spec, Options(engines=engines, inputs=inputs, level=finding.level, shrink=shrink))
    if outcome.differences:
        remarks = [_sentence(one.what, one.place, one.key, one.seen) for one in outcome.differences]
        spec, inputs = outcome.reduced or spec, outcome.inputs
    else:
        remarks.append("it shows among the other programs of its batch only")
    return Case(spec, inputs, finding.level, finding.seed, tuple(remarks[:8]))


def _disputed(dispute: Dispute, *, shrink: bool) -> Case:
    """A dispute as a case; it has an input so that it may be replayed like any other."""
    from skep.diff.reduce import Patience, smaller_program
    from skep.diff.verdicts import still_differ

    spec = dispute.spec
    if shrink:
        shows = still_differ(dispute.verdicts, None, _FOLLOWED)
        spec = smaller_program(spec, shows, Patience(_SHRINK_SECONDS))
    remarks = [f"{name} says {said}" for name, said in dispute.verdicts.items()]
    return Case(spec, inputs_of(dispute.seed)[:1], -1, dispute.seed, tuple(remarks), DISPUTE)


def _sentence(what: str, place: int | str, key: bytes | None, seen: object) -> str:
    assert isinstance(seen, dict)
    where = f"map {place}[{key.hex() if key else ''}]" if what == "map" else f"{what} of input {place}"
    values = (f"{name} {_plain(value)}" for name, value in seen.items())
    return f"{where}: {', '.join(values)}"


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex() or "nothing"
    return hex(value) if isinstance(value, int) else str(value)


def _kept(case: Case) -> Kept:
    """The case as a file; its name says what it is about and which program it comes from."""
    level = str(case.level) if case.kind == DIFFERENCE else ""
    return Kept(f"{case.seed:x}-{case.kind}{level}.txt", case.text())


def _write(kept: Kept, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / kept.name
    path.write_text(kept.text, encoding="utf-8")
    return path
