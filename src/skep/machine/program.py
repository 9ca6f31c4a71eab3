"""A program that is loaded on a machine, and what a run of it gives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skep.errors import RequestError

if TYPE_CHECKING:
    from skep.engines import Loaded
    from skep.machine.machine import Machine
    from skep.objects import ProgramSpec
    from skep.programs import ProgramKind


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave.

    ``retval`` is the return value as the kernel takes it, 32 bits unsigned (for ``raw`` all 64), and ``name`` what
    it is called for the program's type (``XDP_PASS``), None where it has no name. ``packet`` and ``context`` are as
    the program left them. ``duration_ns`` is the time of one run in nanoseconds, the mean if it was repeated.
    """

    retval: int
    name: str | None
    packet: bytes
    context: bytes
    duration_ns: float


class Program:
    """A program on a machine: ``run`` it on one input."""

    def __init__(
        self, machine: Machine, spec: ProgramSpec, kind: ProgramKind, engine: str, loaded: Loaded | None
    ) -> None:
        self.machine = machine
        self.spec = spec
        self.kind = kind
        self.engine = engine
        self._loaded = loaded
        self._elsewhere: dict[str, Program] = {}

    def __repr__(self) -> str:
        return f"<program {self.spec.name}: {self.kind.label}, on the {self.engine}>"

    @property
    def name(self) -> str:
        """The name that the object file gives it."""
        return self.spec.name

    @property
    def loaded(self) -> Loaded:
        """What the engine made of it. Raises RequestError for a program in the kernel: it cannot be called."""
        if self._loaded is None:
            raise RequestError(f"program {self.name!r} runs in the kernel, and what runs there has no address here")
        return self._loaded

    def on(self, engine: str) -> Program:
        """This program on another engine; the kernel and this process have maps of their own."""
        if engine == self.engine:
            return self
        if engine not in self._elsewhere:
            self._elsewhere[engine] = self.machine.load_beside(self.spec, engine, self.kind.type)
        return self._elsewhere[engine]

    def run(
        self,
        packet: bytes = b"",
        *,
        context: bytes = b"",
        repeat: int = 1,
        cpu: int = 0,
        engine: str | None = None,
    ) -> Result:
        """Run on ``packet``, which starts with its Ethernet header (for ``raw``: on a copy of this memory).

        ``engine`` names another engine for this run, "kernel" too (see `on`). ``context`` is what the caller of
        BPF_PROG_TEST_RUN gives as ``ctx_in``. Each of ``repeat`` runs starts with
        the packet and context as given; maps keep what a run did to them. Raises RequestError for an input that the
        program type does not take, and Fault where the interpreter stops the program.
        """
        if engine is not None and engine != self.engine:
            return self.on(engine).run(packet, context=context, repeat=repeat, cpu=cpu)
        if repeat < 1:
            raise RequestError(f"a program cannot be run {repeat} times; repeat is at least 1")
        packet = bytes(packet)
        frame = self.machine.frame(self.kind, cpu)
        buffer = frame.require(len(packet))
        if repeat > 1 and self.engine == "jit" and not context:
            from skep.machine.native_runs import run_repeatedly

            r0, spent = run_repeatedly(self, packet, repeat, cpu)
        else:
            r0, spent = self._run_one_by_one(frame.context, buffer, packet, context, repeat, cpu)
        left = self.kind.leave(frame.context, buffer, len(packet), context)
        retval = r0 if not self.kind.native_size else r0 & 0xFFFFFFFF
        return Result(retval, self.kind.return_name(r0), left.packet, left.context, spent)

    def _run_one_by_one(
        self, context: int, buffer: int, packet: bytes, given: bytes, repeat: int, cpu: int
    ) -> tuple[int, float]:
        """The last r0, and the mean nanoseconds of a run, laying the packet out not included."""
        state = self.machine.cpus[cpu]
        address = self.machine.cpus.address(cpu)
        spent = r0 = 0
        for _ in range(repeat):
            self.kind.enter(context, buffer, packet, given)
            r1, r2 = self.kind.arguments(context, buffer, len(packet))
            state.tail_calls = 0
            started = time.perf_counter_ns()
            r0 = self.loaded.run(r1, r2, address)
            spent += time.perf_counter_ns() - started
        return r0, spent / repeat
