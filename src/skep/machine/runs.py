"""Many packets through one program: on the JIT in a native loop on every CPU, on the interpreter one by one.

While a capture runs, the programs' clock is the capture's: a CPU's time is that of the packet before it, so that a
rate limiter sees the traffic as it was and not as fast as this machine can run it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skep.errors import Fault, RequestError, UnsupportedError
from skep.machine.capture import ETHERNET, RAW_IP, Capture, Packet
from skep.machine.verdict import kept_bytes
from skep.memory.cpu import ClockMode, Cpu
from skep.objects import ProgramType
from skep.programs.xdp import ETHERNET_HEADER

if TYPE_CHECKING:
    from skep.machine.program import Program, Result

#: What is told of progress: how many runs are done.
Progress = Callable[[int], None]

#: Where bare IP packets get an Ethernet header: program types that do not see it.
_NETWORK_LAYER = frozenset(
    {
        ProgramType.CGROUP_SKB,
        ProgramType.LWT_IN,
        ProgramType.LWT_OUT,
        ProgramType.LWT_XMIT,
        ProgramType.LWT_SEG6LOCAL,
    }
)


@dataclass(frozen=True, slots=True)
class Runs:
    """What came of many runs.

    ``counts`` says how often each return value (32 bits unsigned) was returned. ``cpu_ns`` is the processor time
    that all CPUs together spent in the loop, laying packets out included, and ``wall_ns`` how long it took, both in
    nanoseconds. ``survivors`` are the packets that went on, in the order of the capture, if they were asked for:
    those of the last round.
    """

    packets: int
    counts: Mapping[int, int]
    cpu_ns: int
    wall_ns: int
    survivors: Sequence[Packet] = field(default=(), repr=False)

    @property
    def ns_per_packet(self) -> float:
        """Nanoseconds of one CPU for one packet."""
        return self.cpu_ns / self.packets if self.packets else 0.0


def frames_for(type: ProgramType, capture: Capture) -> Sequence[Packet]:
    """The packets of a capture as programs of ``type`` take them, each with an Ethernet header.

    Bare IP packets get one where the program does not see it. Raises RequestError for a link type that does not fit.
    """
    if capture.link == ETHERNET or type is ProgramType.RAW:
        return capture.packets
    if capture.link in RAW_IP and type in _NETWORK_LAYER:
        return [Packet(_ethernet_header(packet.data) + packet.data, packet.time) for packet in capture.packets]
    raise RequestError(
        f"a program of type {type.label} takes Ethernet frames, and this capture holds {capture.link_name} packets; "
        f"capture on an Ethernet interface, or convert it first",
        file=capture.file,
    )


def _ethernet_header(packet: bytes) -> bytes:
    version6 = bool(packet) and packet[0] >> 4 == 6
    return bytes(12) + (b"\x86\xdd" if version6 else b"\x08\x00")


def run_packets(
    program: Program,
    packets: Sequence[Packet],
    *,
    cpus: int = 1,
    repeat: int = 1,
    keep: bool = False,
    progress: Progress | None = None,
) -> Runs:
    """Run ``program`` on every packet, ``repeat`` rounds of all of them, spread over ``cpus`` CPUs.

    ``keep`` asks for the survivors. Raises RequestError for a packet that the program type does not take (naming it),
    and Fault, with the packet's number, where the interpreter stops the program; UnsupportedError alike, where the
    program calls what has no implementation.
    """
    if repeat < 1:
        raise RequestError(f"packets cannot be run {repeat} times; repeat is at least 1")
    if not 1 <= cpus <= len(program.machine.cpus):
        raise RequestError(f"this machine has {len(program.machine.cpus)} CPUs, not {cpus}")
    check_lengths(program, packets)
    if program.engine == "jit":
        from skep.machine.native_runs import run_native

        return run_native(program, packets, cpus, repeat, keep, progress)
    return _run_stepwise(program, packets, cpus, repeat, keep, progress)


def _frame_of(type: ProgramType, result: Result, given: bytes) -> bytes:
    """The frame that a run left: no metadata before it, and the Ethernet header that not every program sees."""
    if type is ProgramType.FLOW_DISSECTOR:
        return given
    if type is ProgramType.XDP:
        # The context that comes back says how many bytes of metadata stand before the packet.
        return result.packet[int.from_bytes(result.context[:4], sys.byteorder) :]
    if type in _NETWORK_LAYER or type is ProgramType.SOCKET_FILTER:
        return given[:ETHERNET_HEADER] + result.packet[ETHERNET_HEADER:]
    return result.packet


def _show_time(cpu: Cpu, nanoseconds: int) -> None:
    cpu.clock_mode = ClockMode.VIRTUAL
    cpu.virtual_ns = nanoseconds
    cpu.virtual_step_ns = 0


def check_lengths(program: Program, packets: Iterable[Packet]) -> None:
    """Raise RequestError for the first packet whose length the program's type does not take."""
    for number, packet in enumerate(packets, 1):
        try:
            program.kind.check_length(len(packet.data))
        except RequestError as error:
            raise RequestError(f"packet {number}: {error.problem}") from None


def _run_stepwise(
    program: Program, packets: Sequence[Packet], cpus: int, repeat: int, keep: bool, progress: Progress | None
) -> Runs:
    """On the interpreter, one packet after the other, the CPUs in turn."""
    block = program.machine.cpus
    counts: Counter[int] = Counter()
    survivors: list[Packet] = []
    spent = done = 0
    started = time.perf_counter_ns()
    try:
        for round in range(repeat):
            for number, packet in enumerate(packets):
                cpu = number % cpus
                _show_time(block[cpu], packet.time)
                try:
                    result = program.run(packet.data, cpu=cpu)
                except (Fault, UnsupportedError) as fault:
                    fault.problem = f"packet {number + 1}: {fault.problem}"
                    raise
                counts[result.retval] += 1
                spent += int(result.duration_ns)
                if keep and round == repeat - 1:
                    left = _frame_of(program.kind.type, result, packet.data)
                    kept = kept_bytes(program.kind.type, result.retval, len(left))
                    if kept:
                        survivors.append(Packet(left[:kept], packet.time))
                done += 1
                if progress is not None and not done & 255:
                    progress(done)
    finally:
        block.use_real_time()
    return Runs(done, counts, spent, time.perf_counter_ns() - started, survivors)
