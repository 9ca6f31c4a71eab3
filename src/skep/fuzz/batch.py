"""Many generated programs at once: compiled in one module, loaded and test-run by the kernel, and interpreted.

What costs most, making maps and machine code, is done once for all programs of a batch: each engine has one set of
maps, which is emptied behind every program.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from skep import maps as own_maps
from skep import programs
from skep.diff.comparison import pinned
from skep.diff.observation import Ending, Observation, contents, differences
from skep.engines import Binding, Loaded
from skep.engines.interpreter import Interpreter
from skep.errors import Fault, KernelError
from skep.fuzz.generate import program
from skep.fuzz.inputs import inputs_of
from skep.fuzz.maps import MAPS, TYPES
from skep.machine.frames import Frame
from skep.maps import Map
from skep.memory import AddressSpace, CpuBlock
from skep.objects import MapType, ProgramSpec, ProgramType

#: What each batch is compiled with, in turn: most errors of a translation show at any level, and -1 is quick.
LEVELS = (-1, 1, -1, -1, -1, 3, -1, -1)

#: One run: packet in, its ending out.
Run = Callable[[bytes], Ending]


@dataclass(slots=True)
class Tally:
    """What came of programs: how many there were, of how many instructions, and why the kernel refused some.

    ``processor_seconds`` is the time that a processor worked on them.
    """

    programs: int = 0
    instructions: int = 0
    runs: int = 0
    processor_seconds: float = 0.0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count another one's programs too."""
        self.programs += other.programs
        self.instructions += other.instructions
        self.runs += other.runs
        self.processor_seconds += other.processor_seconds
        self.rejected += other.rejected
        self.reasons.update(other.reasons)


@dataclass(frozen=True, slots=True)
class Finding:
    """A program that engines disagree on: its number, the level it was compiled with, what each engine showed."""

    seed: int
    level: int
    observed: Mapping[str, Observation]


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
            observed["interpreter"] = self._observe("interpreter", spec, interpreted, inputs)
            interpreted.close()
            observed["jit"] = self._observe("jit", spec, on_jit, inputs)
            tally.runs += len(inputs)
            if differences(observed):
                yield Finding(seed, level, observed)
        for one in compiled:
            one.close()

    def _own_maps(self) -> dict[str, Map]:
        made = {}
        for name, spec in MAPS.items():
            made[name] = own_maps.create(spec, self._cpu_count, self.space)
            self._stack.callback(made[name].close)
        return made

    def _binding(self, engine: str, spec: ProgramSpec) -> Binding:
        assert spec.type is not None
        return Binding(self.space, spec.type, self._maps[engine])

    def _observe(self, engine: str, spec: ProgramSpec, loaded: Loaded, inputs: Sequence[bytes]) -> Observation:
        assert spec.type is not None
        kind = programs.of(spec.type)
        frame = self._frames[spec.type]
        endings = []
        for packet in inputs:
            buffer = frame.require(len(packet))
            kind.enter(frame.context, buffer, packet)
            try:
                r0 = loaded.run(*kind.arguments(frame.context, buffer, len(packet)), self._cpu)
            except Fault as fault:
                endings.append(Ending(None, fault=str(fault)))
                continue
            left = kind.leave(frame.context, buffer, len(packet))
            endings.append(Ending(r0 & 0xFFFFFFFF, left.packet, left.context))
        used = [self._maps[engine][name] for name in spec.maps]
        seen = Observation(tuple(endings), contents(used))
        for one in used:
            one.clear()
        return seen


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

    def observe(self, spec: ProgramSpec, inputs: Sequence[bytes]) -> Observation:
        """Load and run one program. Raises KernelError with the verifier's word."""
        from skep.engines.kernel import KernelProgram
        from skep.engines.kernel.programs import DebugInformation
        from skep.engines.kernel.references import Resolver

        assert spec.type is not None
        records = b"".join(struct.pack("=II", one.start, one.type_id) for one in spec.functions)
        with KernelProgram.load(
            spec.type,
            Resolver(self._made).instructions(spec),
            name=spec.name,
            license=spec.license,
            debug=DebugInformation(self._types, records),
        ) as loaded:
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
    import re

    text = error.problem.rpartition(": ")[2] if "refused" in error.problem else error.problem
    return re.sub(r"\b(0x)?[0-9a-f]*\d[0-9a-f]*\b|\b[Rr]\d+\b", "#", text)[:100]
