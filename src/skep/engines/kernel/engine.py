"""The kernel as an engine: a spec goes in, its maps are made, its references resolved, and it is ready to be
test-run.

All that a `LoadedProgram` made it also closes: program, maps, BTF, the programs of its program arrays. Maps that
the caller gave stay the caller's. Nothing is attached, and nothing is pinned unless the engine was given a
directory for pins.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from skep.btf.relocation import POISON
from skep.engines.kernel import raw
from skep.engines.kernel.cpus import possible_cpus
from skep.engines.kernel.description import Description, describe
from skep.engines.kernel.maps import KernelMap
from skep.engines.kernel.programs import SLEEPABLE, DebugInformation, KernelProgram, RunResult
from skep.engines.kernel.references import Resolver
from skep.engines.kernel.running import RUNNING_KERNEL
from skep.engines.kernel.targets import attach_btf_id
from skep.engines.kernel.types import KernelBtf
from skep.errors import KernelError, LoadError, RequestError, UnsupportedError
from skep.objects.fitting import Fitted, KernelFacts, fit
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import MapSpec, ProgramSpec

if TYPE_CHECKING:
    from skep.engines import Binding

#: Creation flag: programs may only read.
_READ_ONLY_FOR_PROGRAMS = 1 << 7

_MAPS_OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})


class LoadedProgram:
    """A program in the kernel with the maps it uses, by name. Close it, or use it in a ``with``."""

    def __init__(
        self, spec: ProgramSpec, program: KernelProgram, maps: Mapping[str, KernelMap], owned: ExitStack
    ) -> None:
        self.spec = spec
        self.program = program
        self.maps = maps
        self._owned = owned

    @property
    def log(self) -> str:
        """The verifier's log, if it was asked for."""
        return self.program.log

    def run(
        self,
        packet: bytes | None = None,
        context: bytes | None = None,
        repeat: int = 1,
        *,
        cpu: int | None = None,
        flags: int = 0,
        batch_size: int = 0,
    ) -> RunResult:
        """A test run; see `KernelProgram.run`."""
        return self.program.run(packet, context, repeat=repeat, cpu=cpu, flags=flags, batch_size=batch_size)

    def close(self) -> None:
        """Give everything back to the kernel that loading made; may be called twice."""
        self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BoundProgram:
    """A ``raw`` program as every engine runs one: on memory of this process, which is copied to the kernel and back.

    The kernel verifies it for one length of memory at a time; it is loaded when a run first has that length.
    """

    def __init__(self, spec: ProgramSpec, engine: Kernel) -> None:
        self.spec = spec
        self._engine = engine
        self._loaded: dict[int, LoadedProgram] = {}

    @property
    def address(self) -> int:
        """0: the kernel's code cannot be called from here."""
        return 0

    def run(self, r1: int, r2: int, cpu: int) -> int:
        """Run once on the ``r2`` bytes at ``r1``; returns r0, 64 bits unsigned. Raises KernelError."""
        memory = ctypes.string_at(r1, r2) if r2 else b""
        result = self.run_on(memory)
        if r2 and result.data is not None:
            ctypes.memmove(r1, result.data, r2)
        return result.retval

    def run_on(self, memory: bytes) -> RunResult:
        """Run once on ``memory``; ``retval`` of the result is r0 in 64 bits, ``data`` the memory afterwards."""
        if len(memory) not in self._loaded:
            self._loaded[len(memory)] = self._engine.load(raw.with_entry(self.spec, len(memory)))
        loaded = self._loaded[len(memory)]
        place, key = loaded.maps[raw.MEMORY], bytes(4)
        place.update(key, bytes(raw.RESULT_BYTES) + memory)
        duration = loaded.run().duration_ns
        after = place.lookup(key)
        assert after is not None
        value = int.from_bytes(after[: raw.RESULT_BYTES], sys.byteorder)
        return RunResult(value, after[raw.RESULT_BYTES :], None, duration)

    def close(self) -> None:
        """Give everything back to the kernel; may be called twice."""
        for loaded in self._loaded.values():
            loaded.close()
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Kernel:
    """The running kernel. ``pins`` is a directory of a BPF file system for maps that ask to be pinned by name.

    ``facts`` are those of another kernel that programs are to be fitted to instead, for a look at what becomes of
    them.
    """

    name = "kernel"

    def __init__(self, *, pins: str | None = None, facts: KernelFacts = RUNNING_KERNEL) -> None:
        self.pins = pins
        self.facts = facts

    @overload
    def load(self, spec: ProgramSpec, binding: Binding) -> BoundProgram: ...

    @overload
    def load(
        self,
        spec: ProgramSpec,
        *,
        type: ProgramType | None = None,
        maps: Mapping[str, KernelMap] | None = None,
        programs: Mapping[str, ProgramSpec] | None = None,
        attach_to: KernelProgram | None = None,
        log_level: int = 0,
    ) -> LoadedProgram: ...

    def load(
        self,
        spec: ProgramSpec,
        binding: Binding | None = None,
        *,
        type: ProgramType | None = None,
        maps: Mapping[str, KernelMap] | None = None,
        programs: Mapping[str, ProgramSpec] | None = None,
        attach_to: KernelProgram | None = None,
        log_level: int = 0,
    ) -> LoadedProgram | BoundProgram:
        """Load a program with all it needs.

        With a ``binding``, as other engines take one, the program has to be of type ``raw`` and without maps.
        ``type`` stands in where the spec has none. ``maps`` are used instead of making new ones of those names
        (they may be shared between programs). ``programs`` are those that program arrays name, beside the others of
        its object. ``attach_to`` is the program that an extension replaces a function of. Raises LoadError for what
        the spec lacks, KernelError for what the kernel refuses, with its log; then nothing stays behind.
        """
        if binding is not None:
            if ProgramType.RAW not in (spec.type, binding.type) or spec.maps:
                raise UnsupportedError(
                    f"the kernel engine cannot run program {spec.name!r} on memory and maps of this process; "
                    "load it without a binding, and it gets maps in the kernel",
                    file=spec.file,
                )
            return BoundProgram(spec, self)
        with ExitStack() as stack:
            build = _Build(self, stack, maps or {}, programs or {}, log_level)
            program = build.program(spec, type, attach_to)
            return LoadedProgram(spec, program, dict(build.maps), stack.pop_all())

    def create_map(self, spec: MapSpec) -> KernelMap:
        """Make one map, with its initial contents, without a program."""
        with ExitStack() as stack:
            build = _Build(self, stack, {}, {}, 0)
            build.map(spec)
            return KernelMap(os.dup(build.maps[spec.name].fileno()), spec)


class _Build:
    """One load: what has been made so far, by name. ``stack`` closes it all if the load fails."""

    def __init__(
        self,
        engine: Kernel,
        stack: ExitStack,
        given: Mapping[str, KernelMap],
        programs: Mapping[str, ProgramSpec],
        log_level: int,
    ) -> None:
        self.engine = engine
        self.stack = stack
        self.maps: dict[str, KernelMap] = dict(given)
        self.programs = programs
        self.log_level = log_level
        self.loaded: dict[str, KernelProgram] = {}
        self.filled: set[str] = set(given)

    def program(
        self, spec: ProgramSpec, type: ProgramType | None = None, attach_to: KernelProgram | None = None
    ) -> KernelProgram:
        chosen = spec.type if spec.type is not None else type
        fitted = fit(spec, self.engine.facts)
        spec = fitted.program
        if chosen is None:
            raise LoadError(
                f"program {spec.name!r} has no type: section {spec.section!r} is not a known one; say which it is",
                file=spec.file,
            )
        description = describe(spec)
        btf, problem = self._btf(spec, description)
        for map_spec in spec.maps.values():
            self.map(map_spec, btf, spec.maps)
        resolver = Resolver(self.maps)
        try:
            program = KernelProgram.load(
                chosen,
                resolver.instructions(spec),
                name=spec.name,
                license=spec.license,
                expected_attach_type=spec.attach_type,
                flags=spec.flags | (SLEEPABLE if spec.sleepable else 0),
                log_level=self.log_level,
                kernel_version=spec.kernel_version,
                debug=_debug(btf, description),
                attach_btf_id=attach_btf_id(spec, chosen),
                attach_to=attach_to,
                fd_array=resolver.fd_array,
            )
        except KernelError as error:
            raise _explained(error, fitted, problem) from None
        finally:
            resolver.close()
        self.stack.callback(program.close)
        self.loaded[spec.name] = program
        for map_spec in spec.maps.values():
            self._fill(map_spec, spec.maps, spec.siblings)
        return program

    def map(
        self, spec: MapSpec, btf: KernelBtf | None = None, others: Mapping[str, MapSpec] | None = None
    ) -> KernelMap:
        """The map of that name, made if it is not there yet."""
        if spec.name in self.maps:
            return self.maps[spec.name]
        made = self._pinned(spec) or self._new_map(spec, btf)
        self.maps[spec.name] = made
        self.stack.callback(made.close)
        return made

    def _new_map(self, spec: MapSpec, btf: KernelBtf | None) -> KernelMap:
        wanted = spec
        if spec.type == MapType.PERF_EVENT_ARRAY and not spec.max_entries:
            wanted = replace(wanted, max_entries=possible_cpus())
        if spec.frozen:
            wanted = replace(wanted, flags=wanted.flags | _READ_ONLY_FOR_PROGRAMS)
        if spec.type in _MAPS_OF_MAPS:
            if spec.inner is None:
                raise LoadError(f"map {spec.name!r} ({spec.type.label}) does not say what its inner maps are")
            with self._new_map(spec.inner, btf) as template:
                made = KernelMap.create(wanted, btf=btf, inner=template)
        else:
            made = KernelMap.create(wanted, btf=btf)
        try:
            if spec.contents is not None:
                made.update(bytes(spec.key_size), spec.contents.ljust(spec.value_size, b"\0"))
            if spec.frozen:
                made.freeze()
            if spec.pinning and self.engine.pins:
                made.pin(os.path.join(self.engine.pins, spec.name))
        except BaseException:
            made.close()
            raise
        return made

    def _pinned(self, spec: MapSpec) -> KernelMap | None:
        """The map that an earlier load pinned under this name, if pins are used and it is there."""
        if not (spec.pinning and self.engine.pins):
            return None
        path = os.path.join(self.engine.pins, spec.name)
        return KernelMap.open_pinned(path, spec) if os.path.exists(path) else None

    def _fill(self, spec: MapSpec, others: Mapping[str, MapSpec], siblings: Mapping[str, ProgramSpec]) -> None:
        """Put the initial members into a program array or a map of maps."""
        if spec.name in self.filled or not spec.slots:
            return
        self.filled.add(spec.name)
        for key, name in spec.slots.items():
            member: KernelMap | KernelProgram
            if spec.type in _MAPS_OF_MAPS:
                if name not in self.maps and name not in others:
                    raise LoadError(f"map {spec.name!r} holds map {name!r}, which the program does not define")
                member = self.map(others[name]) if name not in self.maps else self.maps[name]
            elif name in self.loaded:
                member = self.loaded[name]
            elif name in self.programs:
                member = self.program(self.programs[name])
            elif name in siblings:
                member = self.program(siblings[name])
            else:
                raise RequestError(
                    f"program array {spec.name!r} holds program {name!r}; give its spec among the programs"
                )
            self.maps[spec.name].update(_number(key, spec.key_size), _number(member.fileno(), 4))

    def _btf(self, spec: ProgramSpec, description: Description | None) -> tuple[KernelBtf | None, str]:
        """The program's BTF in the kernel, or None and why not: most programs do without."""
        if description is None:
            return None, ""
        try:
            btf = KernelBtf.load(description.btf, f"BTF of program {spec.name!r}")
        except KernelError as error:
            return None, error.problem
        self.stack.callback(btf.close)
        return btf, ""


def _debug(btf: KernelBtf | None, description: Description | None) -> DebugInformation | None:
    if btf is None or description is None:
        return None
    return DebugInformation(btf, description.functions, description.lines)


def _number(value: int, size: int) -> bytes:

    return value.to_bytes(size, sys.byteorder)


def _explained(error: KernelError, fitted: Fitted, problem: str) -> KernelError:
    """A refusal with what skep knows of its cause: a poisoned instruction that can be reached, types that did not
    load.
    """
    spec = fitted.program
    poisoned = re.findall(rf"^(\d+): \(85\) call unknown#{POISON}$", error.log, re.MULTILINE)
    slot = int(poisoned[-1]) if poisoned else -1
    if slot in fitted.unresolved:
        line = spec.line_of(slot)
        place = f"instruction {slot}" + (f", {line.file}:{line.line}" if line else "")
        sentence = (
            f"program {spec.name!r} cannot run on this kernel: it reaches a CO-RE relocation ({place}) "
            f"that has no answer here, {fitted.unresolved[slot]}"
        )
        return KernelError(sentence, errno=error.errno, log=error.log, file=spec.file)
    also = f" (it was loaded without its types, because {problem})" if problem else ""
    return KernelError(error.problem + also, errno=error.errno, log=error.log, file=spec.file)
