"""The kernel as an engine: a spec goes in, its maps are made, its references resolved, and it is ready to be
test-run.

All that a `LoadedProgram` made it also closes: program, maps, BTF, the programs of its program arrays. Maps that
the caller gave stay the caller's. Nothing is attached, and nothing is pinned unless the engine was given a
directory for pins.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from skep.engines.kernel import raw
from skep.engines.kernel.loading import Loading
from skep.engines.kernel.maps import KernelMap
from skep.engines.kernel.programs import KernelProgram, RunResult
from skep.engines.kernel.running import RUNNING_KERNEL
from skep.engines.kernel.verdict import Verdict, read_verdict
from skep.errors import KernelError, UnsupportedError
from skep.objects.fitting import KernelFacts
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import MapSpec, ProgramSpec, Spec

if TYPE_CHECKING:
    from skep.engines import Binding


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


class LoadedObject:
    """The programs of an object in the kernel, by name, and the maps that they share."""

    def __init__(
        self,
        spec: Spec,
        programs: Mapping[str, LoadedProgram],
        maps: Mapping[str, KernelMap],
        owned: ExitStack,
    ) -> None:
        self.spec = spec
        self.programs = programs
        self.maps = maps
        self._owned = owned

    def __getitem__(self, name: str) -> LoadedProgram:
        return self.programs[name]

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

    The kernel verifies it for one length of memory at a time; it is loaded when a run first has that length. ``maps``
    are those that it uses, which stay the caller's.
    """

    def __init__(self, spec: ProgramSpec, engine: Kernel, maps: Mapping[str, KernelMap] | None = None) -> None:
        self.spec = spec
        self._engine = engine
        self._maps = dict(maps or {})
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
            self._loaded[len(memory)] = self._engine.load(raw.with_entry(self.spec, len(memory)), maps=self._maps)
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
        log_level: int = 0,
    ) -> LoadedProgram | BoundProgram:
        """Load a program with all it needs.

        With a ``binding``, as other engines take one, the program has to be of type ``raw`` and without maps.
        ``type`` stands in where the spec has none that the kernel knows. ``maps`` are used instead of making new
        ones of those names (they may be shared between programs). ``programs`` are those that program arrays name,
        beside the others of its object.
        Raises LoadError for what the spec lacks, KernelError for what the kernel refuses, with its log; then
        nothing stays behind.
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
            loading = self._loading(stack, maps, programs or {}, log_level)
            program = loading.program(spec, type)
            return LoadedProgram(spec, program, loading.maps, stack.pop_all())

    def load_object(
        self, spec: Spec, *, maps: Mapping[str, KernelMap] | None = None, log_level: int = 0
    ) -> LoadedObject:
        """Load every program of an object, but those whose section begins with ``?``, with maps that they share.

        Programs of struct_ops tables are loaded; the tables are made, but not given to the kernel to call.
        """
        with ExitStack() as stack:
            loading = self._loading(stack, maps, spec.programs, log_level)
            loading.tables = tuple(each for each in spec.maps.values() if each.type == MapType.STRUCT_OPS)
            for program in spec.programs.values():
                if program.autoload:
                    loading.program(program)
            for map_spec in spec.maps.values():
                loading.map(map_spec)
            programs = {
                name: LoadedProgram(spec[name], program, loading.maps, ExitStack())
                for name, program in loading.loaded.items()
            }
            return LoadedObject(spec, programs, loading.maps, stack.pop_all())

    def verdict(
        self,
        spec: ProgramSpec,
        *,
        type: ProgramType | None = None,
        maps: Mapping[str, KernelMap] | None = None,
        log_level: int = 2,
    ) -> Verdict:
        """What the verifier says of a program, which is dropped at once. Raises KernelError where it was not asked:
        without rights, or for a map that cannot be made.
        """
        try:
            with self.load(spec, type=type, maps=maps, log_level=log_level) as loaded:
                return read_verdict(loaded.log)
        except KernelError as error:
            if not error.log:
                raise
            return read_verdict(error.log, error.errno or errno.EACCES)

    def create_map(self, spec: MapSpec) -> KernelMap:
        """Make one map, with its initial contents, without a program."""
        with ExitStack() as stack:
            loading = self._loading(stack, None, {}, 0)
            return KernelMap(os.dup(loading.map(spec).fileno()), spec)

    def _loading(
        self,
        stack: ExitStack,
        maps: Mapping[str, KernelMap] | None,
        programs: Mapping[str, ProgramSpec],
        log_level: int,
    ) -> Loading:
        return Loading(stack, self.facts, self.pins, dict(maps or {}), programs, log_level=log_level)
