"""One program on one engine, to be observed as often as one likes: each time with fresh maps."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from skep.diff.observation import Ending, Observation, contents, is_shown
from skep.engines.interpreter.hooks import Hook
from skep.engines.kernel.syscall import ENOTSUPP
from skep.errors import Fault, KernelError, RequestError
from skep.machine import Machine
from skep.maps import Map
from skep.objects import ProgramSpec, ProgramType

if TYPE_CHECKING:
    from skep.engines import Engine
    from skep.engines.interpreter.execution import Execution


#: Bytes of a packet that every type's test run takes.
_PROBE = 64


class Poison(Hook):
    """Fills the stack of each run with a byte: what then changes was read from where nothing had been written."""

    def __init__(self, byte: int) -> None:
        self._byte = byte

    def before(self, execution: Execution) -> None:
        """Fill it before the first instruction."""
        if execution.left == execution.budget:
            region = execution.stack.region
            ctypes.memset(region.address, self._byte, region.size)


class Subject:
    """A loaded program. Raises what loading raises; close it."""

    def __init__(
        self,
        spec: ProgramSpec,
        engine: str,
        *,
        type: ProgramType | None = None,
        cpus: int = 1,
        cpu: int = 0,
        engines: Mapping[str, Engine] | None = None,
    ) -> None:
        self.engine = engine
        self._cpu = 0 if engine == "kernel" else cpu
        #: Whether the maps are as loading made them.
        self._fresh = True
        self._machine = Machine(cpus, engine=engine, seed=0, engines=engines)
        try:
            self.program = self._machine.load(spec, type=type, verify=False)
        except BaseException:
            self._machine.close()
            raise

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self._machine.close()

    def takes(self, packet: bytes) -> bool:
        """Whether the engine runs the program on that input at all."""
        self._fresh = False
        try:
            self.program.run(packet, cpu=self._cpu)
        except (KernelError, RequestError):
            return False
        except Fault:
            pass
        return True

    def never_runs(self) -> str:
        """Why the kernel runs no program of this type at all, "" if it does."""
        self._fresh = False
        try:
            self.program.run(bytes(_PROBE), cpu=self._cpu)
        except KernelError as error:
            return error.problem if error.errno == ENOTSUPP else ""
        except (RequestError, Fault):
            pass
        return ""

    def observe(self, inputs: Sequence[bytes]) -> Observation:
        """Start with maps as the object has them, run on each input in turn, and look at what there is."""
        if not self._fresh:
            for one in self._machine.maps.values():
                _restore(one)
        self._fresh = False
        endings = []
        for packet in inputs:
            try:
                result = self.program.run(packet, cpu=self._cpu)
            except Fault as fault:
                endings.append(Ending(None, fault=fault.problem))
                break
            endings.append(Ending(result.retval, result.packet, result.context))
        return Observation(tuple(endings), contents(self._machine.maps.values()))


def _restore(one: Map) -> None:
    if one.frozen or not is_shown(one.spec):
        return
    one.clear()
    if one.spec.contents is not None:
        one.update(bytes(one.spec.key_size), one.spec.contents.ljust(one.spec.value_size, b"\0"))
