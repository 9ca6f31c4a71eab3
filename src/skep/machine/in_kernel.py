"""Programs of a machine that run in the kernel of this computer: its memory, its maps, its CPUs.

What is made here looks like what a machine makes of itself: a `Program` with ``run``, and maps that are read and
written through their BTF types. A map lies either in this process or in the kernel, never in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from skep.engines.kernel import BoundProgram, Kernel, KernelMap
from skep.engines.kernel.cpus import possible_cpus
from skep.errors import KernelError, RequestError
from skep.machine.program import Program, Result
from skep.maps import Map
from skep.objects import MapSpec, MapType, ProgramSpec, ProgramType

if TYPE_CHECKING:
    from skep.engines.kernel import LoadedProgram
    from skep.machine.machine import Machine
    from skep.memory import AddressSpace
    from skep.programs import ProgramKind

_ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
#: Types that the kernel reads and writes many elements of in one call.
_BATCHED = _ARRAYS | {MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH}


class MapInKernel(Map):
    """A map of the kernel as maps look in Python. It has no address in this process."""

    def __init__(self, spec: MapSpec, map: KernelMap, space: AddressSpace) -> None:
        super().__init__(spec, possible_cpus() if map.per_cpu else 1, space)
        self.is_per_cpu = map.per_cpu
        self.in_kernel = map
        self.frozen = spec.frozen

    def _read(self, key: bytes, flags: int) -> bytes | None:
        return self.in_kernel.lookup(key, flags)

    def _write(self, key: bytes, value: bytes, flags: int) -> int:
        try:
            self.in_kernel.update(key, value, flags)
        except KernelError as error:
            return -(error.errno or 0)
        return 0

    def _remove(self, key: bytes) -> int:
        try:
            return 0 if self.in_kernel.delete(key) else -2
        except KernelError as error:
            return -(error.errno or 0)

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        if self.spec.type in _BATCHED:
            return iter(self.in_kernel.lookup_batch().items())
        return self.in_kernel.items()

    def clear(self) -> None:
        """Remove every entry, make an array's values zero: in one call where the kernel has one."""
        if self.spec.type in _ARRAYS:
            self._check_change("delete")
            zero = bytes(self.value_bytes)
            keys = range(self.spec.max_entries)
            self.in_kernel.update_batch({index.to_bytes(4, "little"): zero for index in keys})
        else:
            super().clear()


class ProgramInKernel(Program):
    """A program that BPF_PROG_TEST_RUN runs."""

    def __init__(
        self, machine: Machine, spec: ProgramSpec, kind: ProgramKind, loaded: LoadedProgram | BoundProgram
    ) -> None:
        super().__init__(machine, spec, kind, "kernel", None)
        self.in_kernel = loaded

    def run(
        self,
        packet: bytes = b"",
        *,
        context: bytes = b"",
        repeat: int = 1,
        cpu: int = 0,
        engine: str | None = None,
    ) -> Result:
        """Run on ``packet`` in the kernel; see `Program.run`.

        The kernel repeats without laying the packet out anew: each run finds what the one before it left. Its time
        of one run is what it measures itself. The thread's own CPU is what the program runs on. Raises KernelError
        for what the kernel refuses.
        """
        if engine is not None and engine != self.engine:
            return self.on(engine).run(packet, context=context, repeat=repeat, cpu=cpu)
        if repeat < 1:
            raise RequestError(f"a program cannot be run {repeat} times; repeat is at least 1")
        if cpu:
            raise RequestError(f"the kernel runs a program on the CPU that asks for it, and cannot be told CPU {cpu}")
        packet = bytes(packet)
        if isinstance(self.in_kernel, BoundProgram):
            spent = 0
            for _ in range(repeat):
                done = self.in_kernel.run_on(packet)
                spent += done.duration_ns
            duration = spent / repeat
        else:
            self.kind.check_length(len(packet))
            done = self.in_kernel.run(packet, context or None, repeat)
            duration = float(done.duration_ns)
        # Some types' test runs give no context back; a machine's own runs give what they were given.
        left = self.kind.complete(context) if done.context is None else done.context
        return Result(done.retval, self.kind.return_name(done.retval), done.data or b"", left, duration)


class KernelSide:
    """What one machine has in the kernel. Close it: all of it goes then."""

    def __init__(self) -> None:
        self._kernel = Kernel()
        self._stack = ExitStack()
        self._maps: dict[str, KernelMap] = {}

    def load(
        self, machine: Machine, spec: ProgramSpec, kind: ProgramKind
    ) -> tuple[ProgramInKernel, list[MapInKernel]]:
        """Load a program, and name the maps that are new for it. Raises KernelError with the verifier's word."""
        if kind.type is ProgramType.RAW:
            made = {name: self._map(one) for name, one in spec.maps.items() if name not in self._maps}
            self._maps.update(made)
            bound = BoundProgram(spec, self._kernel, {name: self._maps[name] for name in spec.maps})
            self._stack.callback(bound.close)
            own = [MapInKernel(one.spec, one, machine.space) for one in made.values()]
            return ProgramInKernel(machine, spec, kind, bound), own
        loaded = self._kernel.load(replace(spec, type=kind.type), maps=self._maps)
        self._stack.callback(loaded.close)
        new = [
            MapInKernel(one.spec, one, machine.space) for name, one in loaded.maps.items() if name not in self._maps
        ]
        self._maps.update(loaded.maps)
        return ProgramInKernel(machine, spec, kind, loaded), new

    def _map(self, spec: MapSpec) -> KernelMap:
        """A map that lives as long as the machine."""
        return self._stack.enter_context(self._kernel.create_map(spec))

    def close(self) -> None:
        """Give everything back to the kernel. May be called twice."""
        self._stack.close()
        self._maps.clear()
