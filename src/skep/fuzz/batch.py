"""Many generated programs at once: compiled in one module, loaded and test-run by the kernel, and interpreted.

What costs most, making maps and machine code, is done once for all programs of a batch: each engine has one set of
maps, which is emptied behind every program.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skep import maps as own_maps
from skep import programs
from skep.diff.comparison import pinned
from skep.diff.observation import Ending, Observation, contents, differences
from skep.diff.verdicts import Verdict, differ, own_verdict, refusal_of
from skep.engines import Binding, Loaded
from skep.engines.interpreter import Interpreter
from skep.errors import Fault, KernelError
from skep.fuzz.damage import damaged
from skep.fuzz.generate import program
from skep.fuzz.inputs import inputs_of
from skep.fuzz.maps import MAPS, TYPES
from skep.machine.frames import Frame
from skep.maps import Map
from skep.memory import AddressSpace, CpuBlock
from skep.objects import MapType, ProgramSpec, ProgramType

if TYPE_CHECKING:
    from skep.engines.kernel import KernelProgram

#: What each batch is compiled with, in turn: most errors of a translation show at any level, and -1 is quick.
LEVELS = (-1, 1, *(-1,) * 7, 3, *(-1,) * 6)

#: Instructions that skep's verifier may follow in one program; few need a hundred.
_FOLLOWED = 5_000
#: How the kernel begins to speak of what a program is loaded with, which damage does not follow.
_NO_VERDICTS = ("number of funcs in func_info", "missing btf func_info", "same insn cannot be used")


@dataclass(slots=True)
class Tally:
    """What came of programs: how many there were, of how many instructions, and why the kernel refused some.

    ``processor_seconds`` is the time that a processor worked on them. ``judged`` is how many verdicts were compared,
    ``disputed`` how many of them differ, ``undecided`` how often skep's verifier could not decide, and why.
    """

    programs: int = 0
    instructions: int = 0
    runs: int = 0
    processor_seconds: float = 0.0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    disputed: int = 0
    undecided: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count another one's programs too."""
        self.programs += other.programs
        self.instructions += other.instructions
        self.runs += other.runs
        self.processor_seconds += other.processor_seconds
        self.rejected += other.rejected
        self.reasons.update(other.reasons)
        self.judged += other.judged
        self.disputed += other.disputed
        self.undecided.update(other.undecided)


@dataclass(frozen=True, slots=True)
class Finding:
    """A program that engines disagree on: its number, the level it was compiled with, what each engine showed."""

    seed: int
    level: int
    observed: Mapping[str, Observation]


@dataclass(frozen=True, slots=True)
class Dispute:
    """A program that verifiers disagree on, and what each says."""

    spec: ProgramSpec
    seed: int
    verdicts: Mapping[str, Verdict]


class Bench:
    """Engines that are ready for programs: memory, maps and, if asked for, the kernel's. Close it."""

    def __init__(self, *, kernel: bool) -> None:
        self._stack = ExitStack()
        self.space = self._stack.enter_context(AddressSpace())
        self._cpu_count = 1
        self._kernel: _KernelBench | None = None
        cpu = 0
        if kernel:
            from skep.engines.kernel.cpus import possible_cpus

            self._cpu_count = possible_cpus()
            cpu = self._stack.enter_context(pinned())
            self._kernel = self._stack.enter_context(_KernelBench(self.space))
        self.cpus = CpuBlock(self._cpu_count, self.space, seed=0)
        self._cpu = self.cpus.address(cpu)
        self._maps = {engine: self._own_maps() for engine in ("interpreter", "jit")}
        self._frames = {
            kind: Frame(self.space, programs.of(kind), cpu) for kind in (ProgramType.XDP, ProgramType.SCHED_CLS)
        }
        self._interpreter = Interpreter()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self._stack.close()

    def compare(self, seeds: Sequence[int], level: int, tally: Tally) -> Iterator[Finding]:
        """Run the programs of these numbers on every engine and yield those that differ."""
        from skep.engines.jit import Jit

        tally.programs += len(seeds)
        accepted: list[tuple[int, ProgramSpec, Sequence[bytes], dict[str, Observation]]] = []
        for seed in seeds:
            spec = program(seed)
            inputs: Sequence[bytes] = inputs_of(seed)
            tally.instructions += len(spec.instructions)
            observed: dict[str, Observation] = {}
            if self._kernel is not None:
                try:
                    observed["kernel"] = self._kernel.observe(spec, inputs)
                except KernelError as error:
                    tally.rejected += 1
                    tally.reasons[reason(error)] += 1
                    continue
            accepted.append((seed, spec, inputs, observed))
        if not accepted:
            return
        specs = [spec for _, spec, _, _ in accepted]
        compiled = Jit(cache=None, level=level).load_many(specs, [self._binding("jit", spec) for spec in specs])
        for (seed, spec, inputs, observed), on_jit in zip(accepted, compiled, strict=True):
            interpreted = self._interpreter.load(spec, self._binding("interpreter", spec))
            observed |= self._observe(spec, {"interpreter": interpreted, "jit": on_jit}, inputs)
            interpreted.close()
            tally.runs += len(inputs)
            if differences(observed):
                yield Finding(seed, level, observed)
        for one in compiled:
            one.close()

    def judge(self, seeds: Sequence[int], tally: Tally) -> Iterator[Dispute]:
        """Ask both verifiers about the programs of these numbers, and about the same with some damage."""
        if self._kernel is None:
            return
        for seed in seeds:
            for spec in (program(seed), damaged(seed)):
                kernel = self._kernel.verdict(spec)
                if kernel.message.startswith(_NO_VERDICTS):
                    continue
                own = own_verdict(spec, limit=_FOLLOWED)
                tally.judged += 1
                if own.answer == "unsupported":
                    tally.undecided[own.message] += 1
                verdicts = {"skep": own, "kernel": kernel}
                if differ(verdicts):
                    tally.disputed += 1
                    yield Dispute(spec, seed, verdicts)

    def _own_maps(self) -> dict[str, Map]:
        made = {}
        for name, spec in MAPS.items():
            made[name] = own_maps.create(spec, self._cpu_count, self.space)
            self._stack.callback(made[name].close)
        return made

    def _binding(self, engine: str, spec: ProgramSpec) -> Binding:
        assert spec.type is not None
        return Binding(self.space, spec.type, self._maps[engine])

    def _observe(
        self, spec: ProgramSpec, loaded: Mapping[str, Loaded], inputs: Sequence[bytes]
    ) -> dict[str, Observation]:
        """Run one program on skep's engines, on each input in turn; the memory of an input is laid out once."""
        assert spec.type is not None
        kind = programs.of(spec.type)
        frame = self._frames[spec.type]
        endings: dict[str, list[Ending]] = {engine: [] for engine in loaded}
        for packet in inputs:
            buffer, context = frame.require(len(packet)), frame.context
            kind.enter(context, buffer, packet)
            size = kind.buffer_size(len(packet))
            start = ctypes.string_at(context, kind.native_size), ctypes.string_at(buffer, size)
            arguments = kind.arguments(context, buffer, len(packet))
            for number, (engine, one) in enumerate(loaded.items()):
                if number:
                    ctypes.memmove(context, start[0], kind.native_size)
                    ctypes.memmove(buffer, start[1], size)
                try:
                    r0 = one.run(*arguments, self._cpu)
                except Fault as fault:
                    endings[engine].append(Ending(None, fault=str(fault)))
                    continue
                left = kind.leave(context, buffer, len(packet))
                endings[engine].append(Ending(r0 & 0xFFFFFFFF, left.packet, left.context))
        observed = {}
        for engine, ended in endings.items():
            used = [self._maps[engine][name] for name in spec.maps]
            observed[engine] = Observation(tuple(ended), contents(used))
            for each in used:
                each.clear()
        return observed


class _KernelBench:
    """The kernel's maps and types for generated programs."""

    def __init__(self, space: AddressSpace) -> None:
        from skep.engines.kernel import Kernel, KernelBtf
        from skep.machine.in_kernel import MapInKernel

        self._stack = ExitStack()
        try:
            kernel = Kernel()
            self._made = {name: self._stack.enter_context(kernel.create_map(spec)) for name, spec in MAPS.items()}
            self._maps = {name: MapInKernel(MAPS[name], one, space) for name, one in self._made.items()}
            self._types = self._stack.enter_context(KernelBtf.load(TYPES.encode(), "types of generated programs"))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> _KernelBench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _load(self, spec: ProgramSpec, log_level: int = 0) -> KernelProgram:
        from skep.engines.kernel import KernelProgram
        from skep.engines.kernel.programs import DebugInformation
        from skep.engines.kernel.references import Resolver

        assert spec.type is not None
        records = b"".join(struct.pack("=II", one.start, one.type_id) for one in spec.functions)
        return KernelProgram.load(
            spec.type,
            Resolver(self._made).instructions(spec),
            name=spec.name,
            license=spec.license,
            debug=DebugInformation(self._types, records),
            log_level=log_level,
        )

    def verdict(self, spec: ProgramSpec) -> Verdict:
        """What the verifier says. Raises KernelError where it was not asked."""
        from skep.engines.kernel.programs import reason_lines

        try:
            # Level 4 writes the message and the sums: all steps of a loop that does not end would take seconds.
            self._load(spec, log_level=4).close()
        except KernelError as error:
            if not error.log:
                raise
            return refusal_of(reason_lines(error.log))
        return Verdict("accept")

    def observe(self, spec: ProgramSpec, inputs: Sequence[bytes]) -> Observation:
        """Load and run one program. Raises KernelError with the verifier's word."""
        with self._load(spec) as loaded:
            endings = []
            for packet in inputs:
                done = loaded.run(packet)
                endings.append(Ending(done.retval, done.data or b"", done.context or b""))
        used = [self._maps[name] for name in spec.maps]
        seen = Observation(tuple(endings), contents(used))
        for one in used:
            if one.spec.type in (MapType.HASH, MapType.PERCPU_HASH):
                one.in_kernel.lookup_batch(delete=True)
            else:
                one.clear()
        return seen


def reason(error: KernelError) -> str:
    """Why the kernel refused a program, without what is only of this one: registers, offsets, numbers."""
    return general(error.problem.rpartition(": ")[2] if "refused" in error.problem else error.problem)


def general(message: str) -> str:
    """A verifier's message without what is only of one program."""
    return re.sub(r"\b(0x)?[0-9a-f]*\d[0-9a-f]*\b|\b[Rr]\d+\b", "#", message)[:100]
