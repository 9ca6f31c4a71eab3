"""A capture on the JIT: one thread a CPU in the native loop, Python only starting it and watching.

A thread that runs native code holds no interpreter lock, so CPUs really run at once; each is tied to a core of its
own while there are enough of them.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from skep.engines.jit.engine import fault_of
from skep.errors import SkepError
from skep.lang import Function, Ptr, cast, offset_of, size_of, u8, view
from skep.machine import packet_loop
from skep.machine.capture import Packet
from skep.machine.packet_loop import BLOCK, COUNTED, Batch, Count, Record
from skep.machine.runs import Progress, Runs
from skep.machine.verdict import kept_bytes
from skep.memory.region import allocate_zeroed
from skep.objects import ProgramType

if TYPE_CHECKING:
    from skep.machine.program import Program

#: How often progress is told and an interrupt is looked for.
_WATCH_SECONDS = 0.1
#: Bytes of output that a CPU gathers before Python takes them over.
_OUTPUT = 64 << 20

_RAW = packet_loop.lay_out_raw, packet_loop.left_raw
_LINK = packet_loop.lay_out_skb.specialise(link_layer=1), packet_loop.left_skb.specialise(link_layer=1)
_NETWORK = packet_loop.lay_out_skb.specialise(link_layer=0), packet_loop.left_skb.specialise(link_layer=0)
#: How each program type's packets are laid out before and taken after a run, natively.
LOOPS: dict[ProgramType, tuple[Function[..., Any], Function[..., Any]]] = {
    ProgramType.RAW: _RAW,
    ProgramType.XDP: (packet_loop.lay_out_xdp, packet_loop.left_xdp),
    ProgramType.FLOW_DISSECTOR: (packet_loop.lay_out_flow, packet_loop.left_raw),
    ProgramType.SCHED_CLS: _LINK,
    ProgramType.SCHED_ACT: _LINK,
    ProgramType.SOCKET_FILTER: _NETWORK,
    ProgramType.CGROUP_SKB: _NETWORK,
    ProgramType.LWT_IN: _NETWORK,
    ProgramType.LWT_OUT: _NETWORK,
    ProgramType.LWT_XMIT: _NETWORK,
    ProgramType.LWT_SEG6LOCAL: _NETWORK,
}


def run_native(
    program: Program, packets: Sequence[Packet], cpus: int, repeat: int, keep: bool, progress: Progress | None
) -> Runs:
    """Run every packet ``repeat`` times in native code.

    Blocks of packets go to the CPUs in turn, and to other CPUs in each round: a capture of few blocks would otherwise
    keep some CPUs busier than others, and one of less than a block only one. Which CPU runs which packet is thereby
    the same each time.
    """
    if not packets:
        return Runs(0, {}, 0, 0)
    table = _Packets(packets)
    workers = [_Worker(program, table, cpu, repeat, step=cpus, keep=keep) for cpu in range(cpus)]
    started = time.perf_counter_ns()
    threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_WATCH_SECONDS)
                if progress is not None:
                    progress(sum(worker.batch.done for worker in workers))
                if any(worker.error is not None for worker in workers):
                    for worker in workers:
                        worker.batch.stop = 1
    finally:
        for worker in workers:
            worker.batch.stop = 1
        for thread in threads:
            thread.join()
        program.machine.cpus.use_real_time()
    wall = time.perf_counter_ns() - started
    for worker in workers:
        if isinstance(worker.error, SkepError):
            worker.error.problem = f"packet {worker.batch.faulted}: {worker.error.problem}"
        if worker.error is not None:
            raise worker.error
    counts: Counter[int] = Counter()
    for worker in workers:
        counts.update(worker.counts)
    return Runs(
        sum(worker.batch.done for worker in workers),
        counts,
        sum(worker.spent for worker in workers),
        wall,
        table.survivors(program.kind.type, workers) if keep else (),
    )


def run_repeatedly(program: Program, packet: bytes, repeat: int, cpu: int) -> tuple[int, float]:
    """Run one packet ``repeat`` times on CPU ``cpu``: the last r0 (64 bits), and the mean nanoseconds of a run.

    Each run starts with the packet as it was given; the CPU's frame is left as the last run left it.
    """
    worker = _Worker(program, _Packets([Packet(packet)]), cpu, repeat, timed=False)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_WATCH_SECONDS)
    finally:
        worker.batch.stop = 1
        thread.join()
    if worker.error is not None:
        raise worker.error
    return worker.batch.r0, worker.spent / repeat


class _Packets:
    """All packets in one piece of memory, and the records that describe them."""

    def __init__(self, packets: Sequence[Packet]) -> None:
        self.packets = packets
        self.count = len(packets)
        self.data = b"".join(packet.data for packet in packets)
        size = size_of(Record)
        self.records, self._memory = allocate_zeroed(self.count * size, 64)
        address = ctypes.cast(ctypes.c_char_p(self.data), ctypes.c_void_p).value or 0
        raw = (ctypes.c_ubyte * (self.count * size)).from_address(self.records)
        table = memoryview(raw).cast("B").cast("Q")
        words = size // 8
        for index, packet in enumerate(packets):
            length = len(packet.data)
            at = index * words
            table[at] = address
            table[at + 1] = packet.time
            table[at + 2] = length
            address += length

    def record(self, index: int) -> Record:
        """A view of one packet's record."""
        return view(Record, self.records + index * size_of(Record))

    def survivors(self, type: ProgramType, workers: Sequence[_Worker]) -> list[Packet]:
        """The packets that went on, in the order of the capture."""
        left = {index: packet for worker in workers for index, packet in worker.left.items()}
        kept = []
        for index in sorted(left):
            data = left[index]
            length = kept_bytes(type, self.record(index).retval, len(data))
            if length:
                kept.append(Packet(data[:length], self.packets[index].time))
        return kept


class _Worker:
    """The native loop of one CPU: of every ``step`` blocks of packets the one that has its number, then the next one.

    ``timed`` says whether programs see the packets' times as the clock; ``keep`` whether to take what they leave.
    """

    def __init__(
        self,
        program: Program,
        table: _Packets,
        cpu: int,
        repeat: int,
        *,
        step: int = 1,
        keep: bool = False,
        timed: bool = True,
    ) -> None:
        kind = program.kind
        frame = program.machine.frame(kind, cpu)
        longest = max(len(packet.data) for packet in table.packets)
        buffer = frame.require(longest)
        kind.enter(frame.context, buffer, packet_loop.TEMPLATE_FRAME)
        # One byte more, because a kind without a context has an empty one.
        self._template = ctypes.create_string_buffer(
            ctypes.string_at(frame.context, kind.native_size), kind.native_size + 1
        )
        self._address, self._memory = allocate_zeroed(size_of(Batch), 128)
        self.batch = batch = view(Batch, self._address)
        self.left: dict[int, bytes] = {}
        #: How often each value was returned.
        self.counts: Counter[int] = Counter()
        self.spent = 0
        self.error: BaseException | None = None
        self._table = table
        self._cpu = cpu
        self._pinned = step <= (os.cpu_count() or 1)
        lay_out, left = LOOPS[kind.type]
        loop = packet_loop.run_batch.specialise(lay_out=lay_out, left=left, timed=int(timed))
        # Compiled here, so that the threads do nothing but run.
        self._loop: Callable[..., bool] = loop.ctype(loop.address)
        self._entry = program.loaded.address
        fields = {
            "cpu": program.machine.cpus.address(cpu),
            "context": frame.context,
            "template": ctypes.addressof(self._template),
            "buffer": buffer,
            "records": table.records,
        }
        for name, value in fields.items():
            setattr(batch, name, cast(Ptr[u8], value))
        batch.count = table.count
        batch.block = batch.next_block = cpu % step
        batch.step = step
        batch.rounds = repeat
        times = [packet.time for packet in table.packets]
        batch.round_ns = max(times) - min(times)
        batch.longest_output = kind.buffer_size(longest)
        self._output: object = None
        if keep:
            size = max(_OUTPUT, 2 * BLOCK * batch.longest_output)
            self._start, self._output = allocate_zeroed(size, 64)
            batch.output = cast(Ptr[u8], self._start)
            batch.output_end = cast(Ptr[u8], self._start + size)

    def run(self) -> None:
        """Run to the end, taking the output over when its memory is full. Called on the thread that is the CPU."""
        try:
            if self._pinned:
                cores = sorted(os.sched_getaffinity(0))
                os.sched_setaffinity(0, {cores[self._cpu % len(cores)]})
            finished = False
            while not finished:
                began = time.thread_time_ns()
                finished = self._loop(self._address, self._entry)
                self.spent += time.thread_time_ns() - began
                if self.batch.faulted:
                    self.error = fault_of(int(self.batch.cpu))
                if self._output is not None and int(self.batch.output) != self._start:
                    self._take_output()
                self._take_counts()
        except BaseException as error:
            self.error = error

    def _take_output(self) -> None:
        batch = self.batch
        # What is kept is of the last round.
        mine = (batch.block + batch.rounds - 1) % batch.step
        for index in range(self._table.count):
            record = self._table.record(index)
            if index // BLOCK % batch.step == mine and int(record.left):
                self.left[index] = ctypes.string_at(int(record.left), record.left_length)
                record.left = cast(Ptr[u8], 0)
        batch.output = cast(Ptr[u8], self._start)

    def _take_counts(self) -> None:
        start, size = self._address + offset_of(Batch, "counts"), size_of(Count) * COUNTED
        for retval, _, times in struct.iter_unpack("=IIQ", ctypes.string_at(start, size)):
            if times:
                self.counts[retval] += times
        ctypes.memset(start, 0, size)
        self.batch.used = 0
