"""One program on every engine that can run it: whether they show the same, and if not, the least that tells it.

The verifiers are asked first: skep's and, where it may be, the kernel's. Then the kernel decides what it takes: a
program that it refuses, an input that it refuses. The interpreter, which checks every step, runs before the JIT,
which checks nothing: what it stops the JIT does not get to see.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from skep.diff.inputs import constants, packets
from skep.diff.observation import Difference, Observation, differences
from skep.diff.reduce import Patience, fewer, smaller_packet, smaller_program
from skep.diff.subject import Poison, Subject
from skep.diff.verdicts import Verdict, ask, differ, still_differ
from skep.diff.virtual import settle
from skep.engines.interpreter import Interpreter
from skep.errors import SkepError
from skep.objects import ProgramSpec, ProgramType

if TYPE_CHECKING:
    from skep.engines import Engine

#: In the order in which they run.
ENGINES = ("kernel", "interpreter", "jit")

#: Inputs that run one after the other on the same maps.
_SEQUENCE = 64
#: What the stack is filled with to see what depends on it.
_POISONS = (0x00, 0x5A, 0xFF)
#: Instructions that a program may execute on one input while it is made smaller: a loop without its end takes more.
_BUDGET = 20_000
#: Instructions that skep's verifier may follow in a program that is made smaller.
_VERDICT_BUDGET = 50_000
#: Seconds for making inputs and programs smaller.
_INPUT_SECONDS, _PROGRAM_SECONDS = 5.0, 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the comparison of one program came to.

    ``engines`` are those that it was compared on, ``missing`` why others were not; fewer than two engines compare
    nothing. ``verdicts`` are those of the verifiers that were asked, by name (``skep``, ``kernel``), ``disputed``
    whether they differ, and ``reduced_disputed`` the smallest program that was found to get the same ones.

    ``replaced`` are helpers whose results were constants on all engines, ``refused`` how many inputs an engine did
    not take, and ``unwritten`` whether something was left out of the comparison because the program reads stack that
    it never wrote. ``fault`` is what the interpreter stopped the program for, which ends the comparison. If there are
    ``differences``, ``inputs`` and ``reduced`` are the smallest inputs and program that were found to show them.
    """

    spec: ProgramSpec
    engines: tuple[str, ...]
    missing: Mapping[str, str]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    disputed: bool = False
    reduced_disputed: ProgramSpec | None = None
    replaced: tuple[str, ...] = ()
    tried: int = 0
    refused: int = 0
    unwritten: bool = False
    fault: str = ""
    differences: tuple[Difference, ...] = ()
    inputs: tuple[bytes, ...] = ()
    reduced: ProgramSpec | None = None

    @property
    def compared(self) -> bool:
        """Whether there were two engines to compare."""
        return len(self.engines) > 1 and self.tried > 0

    @property
    def judged(self) -> bool:
        """Whether there were two verifiers to compare, and both decided."""
        return len(self.verdicts) > 1 and all(one.answer != "unsupported" for one in self.verdicts.values())

    @property
    def differs(self) -> bool:
        """Whether anything differs: what engines show, or what verifiers say."""
        return bool(self.differences) or self.disputed


@dataclass(frozen=True, slots=True)
class Options:
    """How to compare: ``engines`` to use, as which program type, on how many generated inputs from which seed.

    ``inputs`` are used instead of generated ones. ``level`` is that of the JIT, None for what a program deserves.
    ``verdicts`` says whether to ask the verifiers too.
    """

    engines: tuple[str, ...] = ENGINES
    type: ProgramType | None = None
    inputs: tuple[bytes, ...] | None = None
    count: int = 64
    seed: int = 0
    level: int | None = None
    shrink: bool = True
    verdicts: bool = True


def compare(spec: ProgramSpec, options: Options = Options()) -> Outcome:
    """Compare a program on all engines of ``options``; what one cannot run is said, not raised."""
    verdicts, reduced = _judge(spec, options) if options.verdicts else ({}, None)
    settled = settle(spec)
    given = options.inputs
    if given is None:
        given = tuple(packets(options.seed, options.count, constants(spec)))
    with _Bench(settled.spec, options, settled.own) as bench:
        names = tuple(bench.subjects)
        outcome = Outcome(
            spec,
            names,
            bench.missing,
            verdicts,
            disputed=differ(verdicts),
            reduced_disputed=reduced,
            replaced=settled.replaced,
        )
        if len(names) < 2:
            return outcome
        taken = [packet for packet in given if all(one.takes(packet) for one in bench.asked)]
        outcome = replace(outcome, tried=len(taken), refused=len(given) - len(taken))
        for start in range(0, len(taken), _SEQUENCE):
            sequence = taken[start : start + _SEQUENCE]
            found, unwritten = bench.differences(sequence)
            outcome = replace(outcome, unwritten=outcome.unwritten or unwritten, fault=bench.fault)
            if found:
                if options.shrink:
                    sequence = bench.smaller(sequence, found)
                    found, _ = bench.differences(sequence)
                outcome = replace(outcome, differences=tuple(found), inputs=tuple(sequence))
            if bench.fault:
                outcome = replace(outcome, tried=start + bench.ran)
            if found or bench.fault:
                break
    if outcome.differences and options.shrink:
        reduced = _smaller_program(settled.spec, options, outcome)
        outcome = replace(outcome, reduced=reduced)
    return outcome


def _judge(spec: ProgramSpec, options: Options) -> tuple[Mapping[str, Verdict], ProgramSpec | None]:
    """The verdicts, and if they differ the smallest program that was found to get the same ones."""
    verdicts = ask(spec, options.type, kernel="kernel" in options.engines)
    if not options.shrink or not differ(verdicts):
        return verdicts, None
    shows = still_differ(verdicts, options.type, _VERDICT_BUDGET)
    return verdicts, smaller_program(spec, shows, Patience(_PROGRAM_SECONDS))


class _Bench:
    """The engines with the program loaded, and why others have it not."""

    def __init__(self, spec: ProgramSpec, options: Options, own: Mapping[str, str]) -> None:
        self._spec = spec
        self._options = options
        self._stack = ExitStack()
        self.subjects: dict[str, Subject] = {}
        self.missing: dict[str, str] = {}
        #: What the interpreter stopped the program for the last time, and on how many inputs it had run before.
        self.fault = ""
        self.ran = 0
        #: The interpreter with stacks filled with some byte, once it is needed.
        self._poisoned: dict[str, Subject] = {}
        self._cpus, self._cpu = 1, 0
        try:
            self._load(own)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> _Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def asked(self) -> list[Subject]:
        """Those that are asked whether they take an input; the JIT takes what the interpreter does."""
        return [one for name, one in self.subjects.items() if name != "jit"]

    def _load(self, own: Mapping[str, str]) -> None:
        if "kernel" in self._options.engines:
            self._cpu = self._stack.enter_context(pinned())
            self._cpus = _cpus()
        for name in self._options.engines:
            if name == "kernel" and own:
                helper, why = next(iter(own.items()))
                self.missing[name] = f"{helper} {why}"
                continue
            try:
                self.subjects[name] = self._stack.enter_context(self._subject(name))
            except SkepError as error:
                self.missing[name] = error.problem
            else:
                if name == "kernel" and (problem := self.subjects[name].never_runs()):
                    self.missing[name] = problem
                    del self.subjects[name]

    def _subject(self, name: str, engine: Engine | None = None) -> Subject:
        if name == "jit" and engine is None:
            from skep.engines.jit import Jit

            engine = Jit(cache=None, level=self._options.level)
        return Subject(
            self._spec,
            name,
            type=self._options.type,
            cpus=self._cpus,
            cpu=self._cpu,
            engines={name: engine} if engine is not None else None,
        )

    def observe(self, inputs: Sequence[bytes]) -> dict[str, Observation]:
        """What each engine shows; of the JIT only up to the input on which the interpreter stops the program."""
        observed: dict[str, Observation] = {}
        self.fault, self.ran = "", len(inputs)
        for name, subject in self.subjects.items():
            seen = observed[name] = subject.observe(inputs[: self.ran] if name == "jit" else inputs)
            if name == "interpreter" and seen.endings and seen.endings[-1].fault:
                self.fault, self.ran = seen.endings[-1].fault, len(seen.endings) - 1
        return observed

    def differences(self, inputs: Sequence[bytes]) -> tuple[list[Difference], bool]:
        """What differs for a reason, and whether something was left out that has none."""
        found = differences(self.observe(inputs))
        if not found:
            return [], False
        kept = self._with_reason(found, inputs)
        return kept, len(kept) < len(found)

    def _with_reason(self, found: Sequence[Difference], inputs: Sequence[bytes]) -> list[Difference]:
        """Without what depends on stack that the program reads before it writes it."""
        if "interpreter" not in self.subjects:
            return list(found)
        for byte in () if self._poisoned else _POISONS:
            engine = Interpreter(hooks=(Poison(byte),))
            self._poisoned[str(byte)] = self._stack.enter_context(self._subject("interpreter", engine))
        filled = {name: subject.observe(inputs) for name, subject in self._poisoned.items()}
        unwritten = {(one.what, one.place, one.key): one for one in differences(filled)}
        changing = {one.place for one in unwritten.values() if one.what == "map" and None in one.seen.values()}
        kept = []
        for one in found:
            same = unwritten.get((one.what, one.place, one.key))
            if one.what == "map" and one.place in changing:
                continue
            if same is None or not _inside(one, same):
                kept.append(one)
        return kept

    def smaller(self, inputs: Sequence[bytes], found: Sequence[Difference]) -> list[bytes]:
        """Fewer and shorter inputs that show a difference of the same kind."""
        kind = found[0].what
        patience = Patience(_INPUT_SECONDS)

        def shows(candidate: Sequence[bytes]) -> bool:
            if not candidate:
                return False
            return any(one.what == kind for one in self.differences(candidate)[0])

        alone = next(([one] for one in reversed(inputs) if not patience.over and shows([one])), None)
        kept = alone or fewer(inputs, shows, patience)
        for index in range(len(kept)):

            def with_packet(packet: bytes, index: int = index) -> bool:
                candidate = [*kept[:index], packet, *kept[index + 1 :]]
                return all(one.takes(packet) for one in self.asked) and shows(candidate)

            kept[index] = smaller_packet(kept[index], with_packet, patience)
        return kept


def _inside(one: Difference, unwritten: Difference) -> bool:
    """Whether a difference lies in bytes that change with the stack's old contents."""
    values = list(one.seen.values())
    others = list(unwritten.seen.values())
    if not all(isinstance(value, bytes) for value in (*values, *others)):
        return True
    data = [value for value in values if isinstance(value, bytes)]
    loose = [value for value in others if isinstance(value, bytes)]
    if len({len(value) for value in (*data, *loose)}) > 1:
        return True
    return all(
        len({value[place] for value in loose}) > 1
        for place in range(len(data[0]))
        if len({value[place] for value in data}) > 1
    )


def _smaller_program(spec: ProgramSpec, options: Options, outcome: Outcome) -> ProgramSpec:
    kind = outcome.differences[0].what
    chosen = replace(options, engines=outcome.engines, verdicts=False)

    def ends(candidate: ProgramSpec) -> bool:
        # Verifiers take long to refuse a loop that does not end; a run of it is stopped at once.
        engine = Interpreter(budget=_BUDGET)
        try:
            with Subject(candidate, "interpreter", type=options.type, engines={"interpreter": engine}) as subject:
                return not any(one.fault for one in subject.observe(outcome.inputs).endings)
        except SkepError:
            return False

    def shows(candidate: ProgramSpec) -> bool:
        if kind != "fault" and not ends(candidate):
            return False
        with _Bench(candidate, chosen, {}) as bench:
            if tuple(bench.subjects) != outcome.engines:
                return False
            if not all(one.takes(packet) for packet in outcome.inputs for one in bench.asked):
                return False
            return any(one.what == kind for one in bench.differences(outcome.inputs)[0])

    return smaller_program(spec, shows, Patience(_PROGRAM_SECONDS))


def _cpus() -> int:
    from skep.engines.kernel.cpus import possible_cpus

    return possible_cpus()


@contextmanager
def pinned() -> Iterator[int]:
    """Keep this thread on one CPU, whose number is given: the kernel's test runs happen on the CPU that asks."""
    before = os.sched_getaffinity(0)
    cpu = min(before)
    os.sched_setaffinity(0, {cpu})
    try:
        yield cpu
    finally:
        os.sched_setaffinity(0, before)
