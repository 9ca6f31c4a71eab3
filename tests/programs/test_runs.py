"""What a program finds when it starts, and what is left when it ends: the same as under BPF_PROG_TEST_RUN."""

from __future__ import annotations

import ctypes
import struct

import pytest

from skep.errors import RequestError
from skep.isa.instruction import Instruction
from skep.objects.kinds import ProgramType
from skep.programs import KINDS, ContextField, FieldKind, Output, ProgramKind, of
from tests.programs import kernel_oracle as kernel
from tests.programs.memory import Memory

needs_kernel = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
IPV4 = bytes.fromhex("4500001400000000400600000a0000010a000002")
IPV6 = bytes.fromhex("6000000000000640") + bytes(range(32))
ETHERNET = bytes.fromhex("020202020202030303030303")
PACKETS = {
    "IPv4": ETHERNET + b"\x08\x00" + IPV4 + bytes(30),
    "IPv4 broadcast": b"\xff" * 6 + ETHERNET[6:] + b"\x08\x00" + IPV4 + b"xyz",
    "IPv6 to address zero": bytes(12) + b"\x86\xdd" + IPV6,
    "multicast": b"\x01" + ETHERNET[1:] + b"\x08\x06" + bytes(28),
    "length in place of a protocol": ETHERNET + b"\x05\xff" + bytes(50),
    "raw 802.3": ETHERNET + b"\x00\x40" + b"\xff\xff" + bytes(50),
    "nothing behind the header": ETHERNET + b"\x81\x00",
}
#: The types that the kernel test-runs; it knows no test run of seg6local programs.
PACKET_KINDS = [kind for kind in KINDS.values() if kind.type not in (ProgramType.RAW, ProgramType.LWT_SEG6LOCAL)]
SKB_KINDS = [kind for kind in PACKET_KINDS if kind.given_name == "__sk_buff"]


def _field_in_kernel(kind: ProgramKind, row: ContextField, at: int, size: int, data: bytes) -> int:
    """The value of a scalar as the kernel's program sees it, brought out through the control block."""
    load = {1: 0x71, 4: 0x61, 8: 0x79}[size]
    code = (
        Instruction(load, 2, 1, at),
        Instruction(0x63, 1, 2, 48),
        Instruction(0x77, 2, 0, 0, 32),
        Instruction(0x63, 1, 2, 52),
        Instruction(0xB7),
        Instruction(0x95),
    )
    with kernel.loaded(kind.type, code) as fd:
        outcome = kernel.run_once(fd, data, context=bytes(192))
    assert outcome.error == 0
    low, high = struct.unpack_from("<2I", outcome.context, 48)
    return int(low | high << 32)


@needs_kernel
@pytest.mark.parametrize("data", PACKETS.values(), ids=PACKETS)
@pytest.mark.parametrize("kind", SKB_KINDS, ids=lambda kind: kind.label)
def test_a_socket_buffer_starts_with_the_values_of_the_kernel(kind: ProgramKind, data: bytes) -> None:
    memory = Memory(kind, data)
    for row in kind.fields:
        if row.kind is FieldKind.SCALAR:
            size = min(row.size, 8) if row.size != 20 and row.size != 16 else 4
            for at in range(row.offset, row.offset + row.size, size):
                shift = 8 * (at - row.offset)
                here = memory.read(row, row.size) >> shift & ((1 << 8 * size) - 1)
                assert here == _field_in_kernel(kind, row, at, size, data), f"{row.name} at {at}"


@needs_kernel
@pytest.mark.parametrize("data", PACKETS.values(), ids=PACKETS)
@pytest.mark.parametrize("kind", PACKET_KINDS, ids=lambda kind: kind.label)
def test_an_idle_run_brings_out_what_the_kernel_brings_out(kind: ProgramKind, data: bytes) -> None:
    given = bytes(kind.given_size)
    if kind.type is ProgramType.XDP:
        given = struct.pack("<6I", 0, len(data), 0, 0, 0, 0)
    with kernel.loaded(kind.type, (Instruction(0xB7), Instruction(0x95))) as fd:
        outcome = kernel.run_once(fd, data, context=given)
    assert outcome.error == 0
    assert Memory(kind, data, given).leave() == Output(outcome.data, outcome.context)


def _contexts(kind: ProgramKind, size: int) -> list[bytes]:
    blank = bytearray(kind.given_size)
    if kind.type is ProgramType.XDP:
        struct.pack_into("<I", blank, 4, size)
    contexts = []
    for offset in range(kind.given_size):
        for value in (1, 4, 0x10):
            changed = bytearray(blank)
            changed[offset] = (changed[offset] + value) & 0xFF
            contexts.append(bytes(changed))
    for length in (0, 1, kind.given_size - 1, kind.given_size + 1, kind.given_size + 40):
        contexts.append((bytes(blank) + bytes(64))[:length])
    contexts.append(bytes(blank) + bytes(8) + b"\1")
    return contexts


@needs_kernel
@pytest.mark.parametrize("kind", PACKET_KINDS, ids=lambda kind: kind.label)
def test_a_given_context_is_taken_or_refused_as_the_kernel_does(kind: ProgramKind) -> None:
    data = PACKETS["IPv4"]
    no_such_device = 19
    with kernel.loaded(kind.type, (Instruction(0xB7), Instruction(0x95))) as fd:
        for given in _contexts(kind, len(data)):
            outcome = kernel.run_once(fd, data, context=given)
            if outcome.error == no_such_device:
                continue  # here there are no devices, so that any number will do
            if kind.type is ProgramType.XDP and len(given) >= 8:
                ingress, queue = struct.unpack_from("<2I", given.ljust(24, b"\0"), 12)
                end = struct.unpack_from("<I", given, 4)[0]
                if ((queue or ingress) and outcome.error) or end < len(data):
                    continue  # a device with that queue; or a packet in fragments
            if kind.type is ProgramType.XDP and len(given) < 8:
                continue
            try:
                here: Output | None = Memory(kind, data, given).leave()
            except RequestError:
                here = None
            if outcome.error:
                assert here is None, given.hex()
            else:
                seen = outcome.context[: max(len(given), 0)] if given else b""
                assert here is not None, given.hex()
                assert here.packet == outcome.data, given.hex()
                assert here.context[: len(seen)] == seen[: len(here.context)], given.hex()


@needs_kernel
@pytest.mark.parametrize("kind", PACKET_KINDS, ids=lambda kind: kind.label)
def test_short_inputs_are_refused_as_the_kernel_does(kind: ProgramKind) -> None:
    with kernel.loaded(kind.type, (Instruction(0xB7), Instruction(0x95))) as fd:
        for length in (0, 1, 13, 14, 15, 64):
            error = kernel.run_once(fd, bytes(length)).error
            if error:
                with pytest.raises(RequestError, match=f"takes inputs of 14 to .* has {length}"):
                    kind.buffer_size(length)
            else:
                assert kind.buffer_size(length) >= length


def test_an_xdp_frame_has_the_headroom_and_tailroom_of_the_kernel() -> None:
    kind = of(ProgramType.XDP)
    memory = Memory(kind, PACKETS["IPv4"])
    start, end = kind.packet_bounds(memory.context, memory.buffer, memory.length)
    assert start - memory.buffer == 256
    assert end - start == len(PACKETS["IPv4"])
    assert kind.buffer_size(3520) == 4096
    assert kind.buffer_size(3521) == 8192


def test_metadata_comes_first_and_counts_from_the_headroom() -> None:
    kind = of(ProgramType.XDP)
    data = b"meta" + PACKETS["IPv4"]
    memory = Memory(kind, data, struct.pack("<6I", 4, len(data), 0, 0, 0, 0))
    assert kind.packet_bounds(memory.context, memory.buffer, len(data))[0] == memory.buffer + 252
    assert memory.read(kind.field_named("data"), 4) == memory.buffer + 256
    assert memory.leave().packet == data


@pytest.mark.parametrize(
    ("program", "given", "message"),
    [
        (ProgramType.XDP, struct.pack("<6I", 3, 64, 0, 0, 0, 0), "3 bytes of metadata: it has to be a multiple of 4"),
        (ProgramType.XDP, struct.pack("<6I", 0, 60, 0, 0, 0, 0), "data_end .* is 60, and the packet has 64 bytes"),
        (ProgramType.XDP, struct.pack("<6I", 0, 64, 0, 0, 0, 7), "egress_ifindex"),
        (ProgramType.SCHED_CLS, b"\1", "byte 0 of the __sk_buff given is not 0"),
        (ProgramType.SCHED_CLS, bytes(160) + struct.pack("<I", 5), "wire_len .* is 5"),
        (ProgramType.SCHED_CLS, bytes(192) + b"\1", "struct __sk_buff has 192 bytes, and the context given has 193"),
        (ProgramType.FLOW_DISSECTOR, b"\1", "only flags of the bpf_flow_keys given may be set"),
    ],
)
def test_a_context_that_cannot_be_given_is_one_clear_sentence(
    program: ProgramType, given: bytes, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Memory(of(program), bytes(64), given)


def test_raw_memory_is_the_input_itself() -> None:
    kind = of(ProgramType.RAW)
    memory = Memory(kind, b"abc")
    assert kind.takes_memory
    assert kind.arguments(memory.context, memory.buffer, 3) == (memory.buffer, 3)
    ctypes.memset(memory.buffer, ord("z"), 2)
    assert memory.leave() == Output(b"zzc", b"")
    assert kind.buffer_size(0) > 0
    with pytest.raises(RequestError, match="context of a raw program has 0 bytes"):
        Memory(kind, b"", b"\1")


def test_a_program_that_needs_no_memory_gets_its_context_in_r1() -> None:
    assert of(ProgramType.XDP).arguments(100, 200, 3) == (100, 0)


def test_a_cut_ip_header_is_run_without_addresses() -> None:
    memory = Memory(of(ProgramType.CGROUP_SKB), PACKETS["IPv4"][:30])
    assert memory.read(memory.kind.field_named("family"), 4) == 0
    assert memory.leave().packet[14:] == IPV4[:16]
