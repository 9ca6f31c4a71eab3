"""A machine: CPUs, maps and the programs loaded on it, in one address space.

    with skep.Machine(cpus=4) as machine:
        program = machine.load(spec["xdp_count"])
        result = program.run(packet)
        machine.maps["by_protocol"][0]

Programs that are loaded on one machine share the maps that have the same name and the same definition, as programs of
one object do in the kernel.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

from skep import engines, programs
from skep.engines import Binding, Engine, Loaded
from skep.errors import EncodingError, LoadError, RequestError
from skep.isa import check
from skep.machine.capture import Capture, read_capture, write_capture
from skep.machine.frames import Frame
from skep.machine.program import Program
from skep.machine.runs import Progress, Runs, frames_for, run_packets
from skep.machine.verified import require
from skep.maps import Map, create
from skep.memory import AddressSpace, CpuBlock, PrintedLine, PrintkQueue
from skep.objects import MapSpec, MapType, ProgramSpec, ProgramType
from skep.objects.fitting import Fitted, KernelFacts, fit
from skep.programs import ProgramKind

if TYPE_CHECKING:
    from skep.machine.in_kernel import KernelSide

#: The engines that run programs on a machine's own memory and CPUs. The kernel has both of its own.
OWN_ENGINES = ("jit", "interpreter")
KERNEL = "kernel"


#: Where Linux shows the types of the running kernel.
KERNEL_TYPES = "/sys/kernel/btf/vmlinux"


class Machine:
    """CPUs with maps and programs. Close it, or use it in a ``with``: its memory goes back then.

    ``engine`` is what programs run on unless ``load`` says otherwise. ``seed`` starts the random numbers; None makes
    each machine different. ``engines`` are engines by name with options of their own, to use instead of the usual.
    ``kernel`` is what programs with CO-RE relocations are fitted to; None is the running one, if it shows its types.
    """

    def __init__(
        self,
        cpus: int = 1,
        *,
        engine: str = "jit",
        seed: int | None = None,
        engines: Mapping[str, Engine] | None = None,
        kernel: KernelFacts | None = None,
    ) -> None:
        self._check_engine(engine)
        self.engine = engine
        self._facts = kernel
        self.space = AddressSpace()
        self.cpus = CpuBlock(cpus, self.space, seed=seed)
        self._printed = PrintkQueue()
        self._printed.attach(self.cpus)
        self._engines: dict[str, Engine] = dict(engines or {})
        self._maps: dict[str, Map] = {}
        #: Engine, identity of the spec and program type to the spec (kept alive, so that its identity stays its own).
        self._loaded: dict[tuple[str, int, ProgramType], tuple[ProgramSpec, Loaded]] = {}
        self._verified: set[tuple[str, int, ProgramType]] = set()
        self._tails: dict[str, dict[str, dict[int, Loaded]]] = {}
        self._frames: dict[tuple[ProgramType, int], Frame] = {}
        self._kernel: KernelSide | None = None
        self._beside: dict[bool, Machine] = {}

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def maps(self) -> Mapping[str, Map]:
        """The maps of all programs loaded so far, by name."""
        return MappingProxyType(self._maps)

    def load(
        self,
        spec: ProgramSpec,
        *,
        engine: str | None = None,
        type: ProgramType | None = None,
        verify: bool = True,
    ) -> Program:
        """Make ``spec`` ready to run: its maps, the programs in its program arrays, and its code on an engine.

        ``type`` is what to run it as where its section does not say. The JIT runs what is known to be safe: a
        program is verified first, and refused unless it is accepted; with ``verify`` False it is trusted instead.
        The interpreter checks every step and needs no verdict, and the kernel verifies for itself. Raises
        LoadError, MapError, UnsupportedError, EncodingError or KernelError with the reason.
        """
        name = engine or self.engine
        self._check_engine(name)
        if spec.byte_order != sys.byteorder:
            raise LoadError(
                f"program {spec.name!r} was built for {spec.byte_order}-endian machines, and this one is "
                f"{sys.byteorder}-endian: build it with clang -target bpf (skep disasm can show it all the same)",
                file=spec.file,
            )
        kind = self._kind_of(spec, type)
        if name == KERNEL:
            return self._load_in_kernel(spec, kind)
        return Program(self, spec, kind, name, self._load(spec, kind, name, verify=verify))

    def native_text(self, spec: ProgramSpec, *, type: ProgramType | None = None, ir: bool = False) -> str:
        """What the JIT makes of ``spec`` for this processor: assembly, or optimised LLVM IR; nothing runs."""
        from skep.engines.jit import Jit

        kind = self._kind_of(spec, type)
        binding = self._binding(spec, kind, "jit")
        typed = replace(spec, type=kind.type)
        return Jit().ir(typed, binding, optimised=True) if ir else Jit().assembly(typed, binding)

    def run_capture(
        self,
        program: Program,
        capture: Capture | str | os.PathLike[str],
        *,
        cpus: int | None = None,
        repeat: int = 1,
        write: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Runs:
        """Run ``program`` on every packet of a capture (a path, or one that was read), ``repeat`` times over.

        The packets are spread over ``cpus`` CPUs, all that the machine has if None. ``write`` names a capture to
        write: the packets that the program lets pass in the last round, as it left them. ``progress`` is told now
        and then how many runs are done. Raises CaptureError, RequestError, and Fault on the interpreter.
        """
        if not isinstance(capture, Capture):
            capture = read_capture(capture)
        packets = frames_for(program.kind.type, capture)
        count = cpus or len(self.cpus)
        if write is None:
            return run_packets(program, packets, cpus=count, repeat=repeat, progress=progress)
        # Opened first: what cannot be written is said before the run, not after it.
        with write_capture(write) as writer:
            done = run_packets(program, packets, cpus=count, repeat=repeat, keep=True, progress=progress)
            for packet in done.survivors:
                writer.write(packet)
        return done

    def trace(self) -> list[PrintedLine]:
        """What programs have printed with bpf_trace_printk since the last call, oldest first."""
        return self._printed.drain()

    @property
    def trace_dropped(self) -> int:
        """How many printed lines were lost because nobody took them out in time."""
        return self._printed.dropped

    def frame(self, kind: ProgramKind, cpu: int) -> Frame:
        """The context and packet buffer of a CPU for programs of one kind."""
        key = (kind.type, cpu)
        if key not in self._frames:
            self._frames[key] = Frame(self.space, kind, cpu)
        return self._frames[key]

    def set_program(self, array: str, index: int, program: Program) -> None:
        """Let element ``index`` of the program array called ``array`` lead to ``program``, for tail calls."""
        if array not in self._maps:
            raise RequestError(f"this machine has no map {array!r}; its maps are {', '.join(self._maps) or 'none'}")
        if program.engine == KERNEL:
            raise RequestError("a program in the kernel cannot be put into a program array from here")
        self._place(array, index, program.engine, program.loaded)

    def load_beside(self, spec: ProgramSpec, engine: str, type: ProgramType) -> Program:
        """``spec`` on another engine than this machine's programs: for comparing runs.

        The interpreter and the JIT share this machine's maps. The kernel has maps of its own, filled as the object
        says: between it and the others a second machine stands, which is closed with this one.
        """
        self._check_engine(engine)
        in_kernel = engine == KERNEL
        if in_kernel == (self.engine == KERNEL):
            return self.load(spec, engine=engine, type=type)
        if in_kernel not in self._beside:
            self._beside[in_kernel] = Machine(len(self.cpus), engine=engine)
        return self._beside[in_kernel].load(spec, engine=engine, type=type)

    def close(self) -> None:
        """Give everything back; nothing that was loaded here can run afterwards. May be called twice."""
        for beside in self._beside.values():
            beside.close()
        for _, loaded in self._loaded.values():
            loaded.close()
        for one in self._maps.values():
            one.close()
        if self._kernel is not None:
            self._kernel.close()
        self._loaded.clear()
        self._maps.clear()
        self._frames.clear()
        self.space.close()

    @staticmethod
    def _check_engine(name: str) -> None:
        if name not in (*OWN_ENGINES, KERNEL):
            known = ", ".join(OWN_ENGINES)
            raise RequestError(f"there is no engine {name!r} to run programs here; choose {known} or {KERNEL}")

    def _fitted(self, spec: ProgramSpec) -> Fitted:
        """``spec`` with its CO-RE relocations applied for the kernel that the machine stands for, if it has any."""
        if not spec.core_relocations and not any(one.configuration for one in spec.maps.values()):
            return Fitted(spec)
        facts = self._facts or running_kernel()
        return Fitted(spec) if facts is None else fit(spec, facts)

    @staticmethod
    def _kind_of(spec: ProgramSpec, given: ProgramType | None) -> ProgramKind:
        chosen = given if given is not None else spec.type
        if chosen is None:
            raise LoadError(
                f"section {spec.section!r} of program {spec.name!r} does not say what type it is; say it with --type",
                file=spec.file,
            )
        return programs.of(chosen)

    def _load_in_kernel(self, spec: ProgramSpec, kind: ProgramKind) -> Program:
        """Load ``spec`` into the kernel of this computer, with maps there."""
        from skep.machine.in_kernel import KernelSide, MapInKernel

        for name, definition in spec.maps.items():
            known = self._maps.get(name)
            if known is not None and (known.spec != definition or not isinstance(known, MapInKernel)):
                raise self._other_map(known, definition, in_kernel=True)
        if self._kernel is None:
            self._kernel = KernelSide()
        program, maps = self._kernel.load(self, spec, kind)
        self._maps.update({one.name: one for one in maps})
        return program

    def _load(self, spec: ProgramSpec, kind: ProgramKind, engine: str, *, verify: bool) -> Loaded:
        """Load ``spec`` and all that it may tail-call through the program arrays that its object fills."""
        waiting, found = [spec], []
        while waiting:
            one = waiting.pop()
            key = (engine, id(one), kind.type)
            needs_verdict = verify and engine == "jit" and key not in self._verified
            if key in self._loaded and not needs_verdict:
                continue
            if engine != "jit":
                # The JIT says the same itself, and not again of a program whose code it kept.
                _check_encoding(one)
            fitted = self._fitted(one)
            typed = replace(fitted.program, type=kind.type)
            if needs_verdict:
                require(typed, self._facts)
                self._verified.add(key)
                if key in self._loaded:
                    continue
            binding = self._binding(typed, kind, engine, fitted.unresolved)
            self._loaded[key] = one, self._engine(engine).load(typed, binding)
            found.append(one)
            waiting += [member for _, _, member in self._members(one)]
        for one in found:
            for array, index, member in self._members(one):
                self._place(array, index, engine, self._loaded[engine, id(member), kind.type][1])
        return self._loaded[engine, id(spec), kind.type][1]

    def _binding(
        self, spec: ProgramSpec, kind: ProgramKind, engine: str, unresolved: Mapping[int, str] = MappingProxyType({})
    ) -> Binding:
        return Binding(
            space=self.space,
            type=kind.type,
            maps={name: self._map(definition) for name, definition in spec.maps.items()},
            tails=self._tails_of(engine, spec),
            unresolved=unresolved,
        )

    @staticmethod
    def _members(spec: ProgramSpec) -> list[tuple[str, int, ProgramSpec]]:
        """Array, index and program for each element that the object of ``spec`` puts into its program arrays."""
        return [
            (array.name, index, spec.siblings[name])
            for array in spec.maps.values()
            if array.type is MapType.PROG_ARRAY
            for index, name in array.slots.items()
            if name in spec.siblings
        ]

    def _place(self, array: str, index: int, engine: str, loaded: Loaded) -> None:
        self._maps[array].set_program(index, loaded.address)
        self._tails.setdefault(engine, {}).setdefault(array, {})[index] = loaded

    def _tails_of(self, engine: str, spec: ProgramSpec) -> Mapping[str, Mapping[int, Loaded]]:
        """What the program arrays of ``spec`` hold on an engine: live, for an engine without native code."""
        arrays = self._tails.setdefault(engine, {})
        for definition in spec.maps.values():
            if definition.type is MapType.PROG_ARRAY:
                arrays.setdefault(definition.name, {})
        return arrays

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = engines.engine(name)
        return self._engines[name]

    def _map(self, definition: MapSpec) -> Map:
        known = self._maps.get(definition.name)
        if known is None:
            known = self._maps[definition.name] = create(definition, len(self.cpus), self.space)
        elif known.spec != definition or not known.address:
            raise self._other_map(known, definition, in_kernel=False)
        return known

    @staticmethod
    def _other_map(known: Map, definition: MapSpec, *, in_kernel: bool) -> LoadError:
        """Why a program cannot use the map of that name that the machine has."""
        if known.spec != definition:
            return LoadError(
                f"map {definition.name!r} is defined differently by a program that is loaded already; "
                f"load programs of different objects on different machines"
            )
        there, wanted = ("this process", "the kernel") if in_kernel else ("the kernel", "this process")
        return LoadError(
            f"map {definition.name!r} lies in {there}, where a program in {wanted} cannot reach it; "
            f"load programs for the kernel on a machine of their own"
        )


def _check_encoding(spec: ProgramSpec) -> None:
    """Raise EncodingError, with file and C line, for a slot that is no instruction or sets a reserved field."""
    try:
        check(spec.instructions)
    except EncodingError as error:
        line = spec.line_of(error.instruction) if error.instruction is not None else None
        error.file, error.section = spec.file, spec.section
        error.source = f"{line.file}:{line.line}" if line else None
        raise


def running_kernel() -> KernelFacts | None:
    """What programs are fitted to unless a machine is told otherwise: this kernel, if it shows its types."""
    if not os.path.exists(KERNEL_TYPES):
        return None
    from skep.engines.kernel.running import RUNNING_KERNEL

    return RUNNING_KERNEL
