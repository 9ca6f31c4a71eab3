"""The native loop: every packet of a capture through a program without returning to Python.

Written in the language of helpers and maps, so that it is compiled for the host like them. One call serves one CPU.
``lay_out`` functions do natively what ``ProgramKind.enter`` does in Python, starting from a context that it made; the
tests hold one against the other.
"""

from __future__ import annotations

from skep.lang import (
    Array,
    Fn,
    Order,
    Ptr,
    address_of,
    atomic_load,
    atomic_store,
    cast,
    function,
    length,
    likely,
    load_unaligned,
    memory_copy,
    memory_set,
    offset,
    size_of,
    struct,
    u8,
    u16,
    u32,
    u64,
    unlikely,
)
from skep.lang import big_endian as to_big_endian
from skep.memory.contexts import SkbContext, XdpContext
from skep.memory.cpu import ClockMode, Cpu
from skep.programs import skb, xdp

#: Packets that one CPU takes before the next one's turn comes: enough that no two CPUs write to one cache line.
BLOCK = 64
#: Slots for return values; programs have a handful, socket filters as many as packets have lengths. When they run
#: out Python takes the counts over and empties them.
COUNTED = 4096
#: So many are used at most, so that a free one is found soon.
_USED = COUNTED * 3 // 4

#: The frame whose context is the template of all others: no address or protocol of it can be left behind.
TEMPLATE_FRAME = bytes(12) + b"\x08\x06"

_VIRTUAL = int(ClockMode.VIRTUAL)


@struct
class Record:
    """One packet: where it lies and when it came (nanoseconds), then, where it is kept, what became of it."""

    data: Ptr[u8]
    time: u64
    length: u32
    retval: u32
    left: Ptr[u8]
    left_length: u64


@struct
class Count:
    """How often ``retval`` came; a slot with ``times`` 0 is free."""

    retval: u32
    unused: u32
    times: u64


@struct(align=128)
class Batch:
    """The work of one CPU.

    ``records`` has ``count`` packets; the CPU takes blocks ``block``, ``block + step`` … of them in the first of
    ``rounds`` rounds, in the next one those that follow, so that each CPU runs every packet as often as the others.
    ``done`` counts runs, ``r0`` is what the last one returned, ``stop`` ends the loop early. Where ``output`` is not
    null the packets that the program leaves are copied there up to ``output_end``; the loop comes back when less
    than ``longest_output`` is left, and when too many slots of ``counts`` are ``used``. ``faulted`` is the number,
    from 1, of the packet on which a program gave up.
    """

    cpu: Ptr[Cpu]
    context: Ptr[u8]
    template: Ptr[u8]
    buffer: Ptr[u8]
    records: Ptr[Record]
    count: u64
    block: u64
    step: u64
    round: u64
    rounds: u64
    round_ns: u64
    output: Ptr[u8]
    output_end: Ptr[u8]
    longest_output: u64
    next_block: u64
    done: u64
    r0: u64
    faulted: u64
    stop: u32
    used: u32
    counts: Array[Count] = length(COUNTED)


@struct
class Argument:
    """What a ``lay_out`` function finds out: r1 and r2 of the program."""

    r1: Ptr[u8]
    r2: u64


@function
def lay_out_raw(batch: Ptr[Batch], record: Ptr[Record], argument: Ptr[Argument]) -> None:
    """Plain memory: a copy of the input, and its length."""
    memory_copy(batch.buffer, record.data, u64(record.length))
    argument.r1 = batch.buffer
    argument.r2 = u64(record.length)


@function
def lay_out_xdp(batch: Ptr[Batch], record: Ptr[Record], argument: Ptr[Argument]) -> None:
    """A frame in whole pages, with the kernel's room before and behind it."""
    context = cast(Ptr[XdpContext], batch.context)
    start = offset(batch.buffer, xdp.HEADROOM)
    if unlikely(context.data_meta != start):
        # The packet before grew into the room in front of it.
        memory_set(batch.buffer, u8(0), u64(xdp.HEADROOM))
    memory_copy(batch.context, batch.template, u64(size_of(XdpContext)))
    size = u64(record.length)
    memory_copy(start, record.data, size)
    pages = (size + xdp.HEADROOM + xdp.TAILROOM + xdp.PAGE - 1) // xdp.PAGE
    context.data = start
    context.data_meta = start
    context.data_end = offset(start, size)
    context.hard_end = offset(batch.buffer, pages * xdp.PAGE - xdp.TAILROOM)
    argument.r1 = batch.context
    argument.r2 = 0


@function
def lay_out_skb(batch: Ptr[Batch], record: Ptr[Record], argument: Ptr[Argument], link_layer: bool) -> None:
    """A socket buffer; ``link_layer`` (a constant) says whether the program's packet starts at its Ethernet
    header."""
    context = cast(Ptr[SkbContext], batch.context)
    memory_copy(batch.context, batch.template, u64(size_of(SkbContext)))
    size = u64(record.length)
    frame = offset(batch.buffer, xdp.HEADROOM)
    memory_copy(frame, record.data, size)
    start = frame
    if not link_layer:
        start = offset(frame, xdp.ETHERNET_HEADER)
        size = size - xdp.ETHERNET_HEADER
    context.len = u32(size)
    context.wire_len = u32(size)
    context.pkt_type = packet_type(frame)
    protocol = ethernet_protocol(frame, record.length)
    context.protocol = u32(to_big_endian(protocol))
    room = u64(record.length)
    if room < skb.LONGEST_GROWN:
        room = skb.LONGEST_GROWN
    context.hard_end = offset(batch.buffer, (room + xdp.HEADROOM + xdp.TAILROOM + 63) // 64 * 64 - xdp.TAILROOM)
    context.mac_header = frame
    context.network_header = offset(frame, xdp.ETHERNET_HEADER)
    context.data = start
    context.data_meta = start
    context.data_end = offset(start, size)
    network_length = u64(record.length) - xdp.ETHERNET_HEADER
    words = cast(Ptr[u32], context.network_header)
    if protocol == u16(skb.ETH_P_IP) and network_length >= 20:
        context.family = skb.AF_INET
        context.socket.family = skb.AF_INET
        context.local_ip4 = load_unaligned(offset(words, 3))
        context.remote_ip4 = load_unaligned(offset(words, 4))
        context.socket.src_ip4 = context.local_ip4
        context.socket.dst_ip4 = context.remote_ip4
    if protocol == u16(skb.ETH_P_IPV6) and network_length >= 40:
        context.family = skb.AF_INET6
        context.socket.family = skb.AF_INET6
        for word in range(4):
            context.local_ip6[word] = load_unaligned(offset(words, 2 + word))
            context.remote_ip6[word] = load_unaligned(offset(words, 6 + word))
            context.socket.src_ip6[word] = context.local_ip6[word]
            context.socket.dst_ip6[word] = context.remote_ip6[word]
    argument.r1 = batch.context
    argument.r2 = 0


@function
def ethernet_protocol(frame: Ptr[u8], size: u32) -> u16:
    """What the kernel takes the protocol of a frame to be; in host byte order."""
    protocol = u16(frame[12]) << 8 | u16(frame[13])
    if protocol >= skb.FIRST_PROTOCOL:
        return protocol
    if size >= 16 and frame[14] == 255 and frame[15] == 255:
        return skb.ETH_P_802_3_RAW
    return skb.ETH_P_802_2


@function
def packet_type(frame: Ptr[u8]) -> u32:
    """Whom a frame is for, seen from a device whose address is zero."""
    if frame[0] & 1:
        return skb.PACKET_MULTICAST
    for index in range(6):
        if frame[index] != 0:
            return skb.PACKET_OTHERHOST
    return skb.PACKET_HOST


@function
def lay_out_flow(batch: Ptr[Batch], record: Ptr[Record], argument: Ptr[Argument]) -> None:
    """A packet for a flow dissector, and the keys that it starts with."""
    context = cast(Ptr[SkbContext], batch.context)
    memory_copy(batch.context, batch.template, u64(size_of(SkbContext)))
    memory_copy(batch.buffer, record.data, u64(record.length))
    context.len = record.length
    context.data_end = offset(batch.buffer, record.length)
    context.hard_end = context.data_end
    context.keys.n_proto = u16(record.data[12]) | u16(record.data[13]) << 8
    context.protocol = u32(context.keys.n_proto)
    argument.r1 = batch.context
    argument.r2 = 0


@function
def left_raw(batch: Ptr[Batch], record: Ptr[Record]) -> Ptr[u8]:
    """The memory, as long as it was."""
    record.left_length = u64(record.length)
    return batch.buffer


@function
def left_xdp(batch: Ptr[Batch], record: Ptr[Record]) -> Ptr[u8]:
    """The packet without its metadata."""
    context = cast(Ptr[XdpContext], batch.context)
    record.left_length = u64(context.data_end) - u64(context.data)
    return context.data


@function
def left_skb(batch: Ptr[Batch], record: Ptr[Record], link_layer: bool) -> Ptr[u8]:
    """The packet with the Ethernet header in front of it, which not every program sees."""
    context = cast(Ptr[SkbContext], batch.context)
    start = context.data
    if not link_layer:
        start = context.mac_header
    record.left_length = u64(context.data_end) - u64(start)
    return start


@function(cold=True, inline="never")
def count_new(batch: Ptr[Batch], retval: u32) -> None:
    """Find the slot of a return value that is not where it would be first."""
    for probe in range(COUNTED):
        slot = address_of(batch.counts[(u64(retval) + probe) % COUNTED])
        if slot.times == 0:
            slot.retval = retval
            batch.used += 1
        if slot.retval == retval:
            slot.times += 1
            return


@function
def run_batch(
    batch: Ptr[Batch],
    entry: Fn[[Ptr[u8], u64, Ptr[Cpu]], u64],
    lay_out: Fn[[Ptr[Batch], Ptr[Record], Ptr[Argument]], None],
    left: Fn[[Ptr[Batch], Ptr[Record]], Ptr[u8]],
    timed: bool,
) -> bool:
    """Run from where ``batch`` stands; False if it has to be called again, once output or counts are emptied.

    ``timed`` (a constant) says whether the programs' clock shows when each packet came.
    """
    argument = Argument()
    cpu = batch.cpu
    blocks = (batch.count + BLOCK - 1) // BLOCK
    while batch.round < batch.rounds:
        keeps = bool(batch.output) and batch.round + 1 == batch.rounds
        while batch.next_block < blocks:
            if keeps and u64(batch.output_end) - u64(batch.output) < batch.longest_output * BLOCK:
                return False
            if unlikely(batch.used > _USED - BLOCK):
                return False
            first = batch.next_block * BLOCK
            last = min(first + BLOCK, batch.count)
            for index in range(first, last):
                record = offset(batch.records, index)
                lay_out(batch, record, address_of(argument))
                if timed:
                    cpu.clock_mode = _VIRTUAL
                    cpu.virtual_ns = record.time + batch.round * batch.round_ns
                cpu.tail_calls = 0
                r0 = entry(argument.r1, argument.r2, cpu)
                if unlikely(cpu.fault_slot != 0):
                    batch.faulted = index + 1
                    return True
                retval = u32(r0)
                batch.r0 = r0
                slot = address_of(batch.counts[u64(retval) % COUNTED])
                if likely(slot.times != 0 and slot.retval == retval):
                    slot.times += 1
                else:
                    count_new(batch, retval)
                if keeps:
                    # Only here: records lie side by side, and a store to one takes its line from the other CPU.
                    record.retval = retval
                    start = left(batch, record)
                    memory_copy(batch.output, start, record.left_length)
                    record.left = batch.output
                    batch.output = offset(batch.output, record.left_length)
            batch.next_block += batch.step
            atomic_store(address_of(batch.done), batch.done + (last - first), Order.RELAXED)
            if atomic_load(address_of(batch.stop), Order.RELAXED) != 0:
                return True
        batch.round += 1
        batch.next_block = (batch.block + batch.round) % batch.step
    return True
