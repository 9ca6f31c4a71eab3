"""Printed text is what Linux prints, format by format; lines reach Python in order, and none is waited for."""

from __future__ import annotations

import ctypes
import errno
import sys
import threading
from typing import Any

import pytest

from skep.engines.kernel import Kernel, missing_right
from skep.errors import KernelError
from skep.isa import assemble
from skep.lang import Ptr, address_of, cast, compile_host, function, struct, u8, u32, u64
from skep.memory import Cpu, CpuBlock, PrintkQueue
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import MapReference, MapSpec, ProgramSpec
from skep.stdlib.printk import trace_printk
from skep.stdlib.prototypes import number

from .support import call, memory

#: What ``%s`` and addresses point to; an argument given as bytes is the place of these bytes in it.
DATA = b"hello\0" + bytes(range(1, 17)) + b"\0" + b"\xff" * 16

_HELLO, _NUMBERS, _ONES, _EMPTY = b"hello", DATA[6:22], b"\xff" * 16, DATA[22:23]

ACCEPTED: list[tuple[bytes, tuple[int | bytes, ...]]] = [
    (b"plain", ()),
    (b"", ()),
    (b"100%%", ()),
    (b"%%%%%d", (1,)),
    (b"%d %d %d", (0, -1, 1 << 31)),
    (b"%i %u", (-5, -5)),
    (b"%ld %lld %li", (-5, -(1 << 63), 1 << 40)),
    (b"%lu %llu", (-1, 1 << 63)),
    (b"%x %X %lx %lX %llx", (0xDEADBEEF, 0xABC, -1, 0xDEAD << 40, 0)),
    (b"%5d|%-5d|%05d|%+d|% d|", (42, 42, 42, 42, 42)),
    (b"%5d|%-5d|%05d|%+d|% d|", (-42, -42, -42, -42, -42)),
    (b"%-05d|%0-5d|%+05d|% 05d|%+ d|", (7, 7, 7, 7, 7)),
    (b"%+u|% u|%+x|%05x|%-5x|%5X|", (7, 7, 7, 0xAB, 0xAB, 0xAB)),
    (b"%20lld|%-20lld|%020llx|", (-(1 << 63), -(1 << 63), 1 << 63)),
    (b"%70d|", (1,)),
    (b"%c%c|%3c|%-3c|", (65, 0x142, 66, 67)),
    (b"%s|%s", (_HELLO, _EMPTY)),
    (b"%10s|%-10s|%2s|", (_HELLO, _HELLO, _HELLO)),
    (b"%s, %s!", (_HELLO, _HELLO)),
    (b"%s", (0,)),
    (b"%px %16px", (0x1234, 0xFFFF888000000000)),
    (b"%20px|%-20px|", (0x1234, 0x1234)),
    (b"%pI4 %pi4", (_NUMBERS, _NUMBERS)),
    (b"%pI4 %pi4", (_ONES, _ONES)),
    (b"%pI6 %pi6", (_NUMBERS, _ONES)),
    (b"%20pI4|%-20pI4|", (_NUMBERS, _NUMBERS)),
    (b"%pI4", (0,)),
    (b"%pks", (_HELLO,)),
    (b"a\tb\nc", ()),
    (b"caf\xc3\xa9 %d", (1,)),
    (b"%psk %pSk %pBk", (1, 1, 1)),
    (b"%pI4abc1-%pxyz %pK9", (_NUMBERS, 1, 0)),
]

REFUSED = [
    b"%d", b"%", b"%q", b"%n", b"%f", b"%o", b"%hd", b"%#x", b"%.3d", b"%*d", b"%lc", b"%zu", b"%lld %d",
    b"%sx", b"%s1", b"%pI5", b"%pM", b"%pI", b"%px %d", b"\x01", b"\x7f", b"%\xc3\xa9", b"%5", b"%-", b"%l", b"%pksx",
    b"%pk", b"%pe",
]  # fmt: skip


def arguments_at(values: tuple[int | bytes, ...], base: int) -> list[int]:
    return [base + DATA.index(one) if isinstance(one, bytes) else one for one in values]


def ours(text: bytes, values: list[int]) -> bytes | int:
    """What ``bpf_snprintf`` prints here, or its error."""
    out = ctypes.create_string_buffer(256)
    words = memory(b"".join((value & (1 << 64) - 1).to_bytes(8, sys.byteorder) for value in values) or b"\0")
    size = call("snprintf", out, 256, memory(text + b"\0"), words, 8 * len(values))
    if size < 0:
        return size
    assert out.raw[size - 1 : size] == b"\0"
    return out.raw[: size - 1]


def kernels(text: bytes, values: tuple[int | bytes, ...]) -> bytes | int:
    """What it prints in the running kernel; -EINVAL where the program is refused for its format."""
    format_map = MapSpec("format", MapType.ARRAY, 4, len(text) + 1, 1, 0x80, contents=text + b"\0", frozen=True)
    data_map = MapSpec("data", MapType.ARRAY, 4, len(DATA), 1, contents=DATA)
    out_map = MapSpec("out", MapType.ARRAY, 4, 256, 1)
    lines = []
    for place, value in enumerate(values):
        lines.append(
            f"r1 = map[data][0]+{DATA.index(value)} ll"
            if isinstance(value, bytes)
            else f"r1 = {value & (1 << 64) - 1:#x} ll"
        )
        lines.append(f"*(u64 *)(r10 - {8 * (len(values) - place)}) = r1")
    lines += ["r1 = map[out][0] ll", "r2 = 256", "r3 = map[format][0] ll", "r4 = r10", f"r4 += {-8 * len(values)}"]
    lines += [f"r5 = {8 * len(values)}", "call snprintf", "exit"]
    if not values:
        lines[lines.index("r4 = r10") : lines.index("r5 = 0")] = ["r4 = 0"]
    assembly = assemble("\n".join(lines), helpers=number)
    spec = ProgramSpec(
        "print",
        "tc",
        ProgramType.SCHED_CLS,
        assembly.instructions,
        references={slot: MapReference(one.name, one.offset) for slot, one in assembly.symbols.items()},
        maps={
            one.name: one
            for one in (format_map, data_map, out_map)
            if any(symbol.name == one.name for symbol in assembly.symbols.values())
        },
        license="GPL",
    )
    try:
        loaded = Kernel().load(spec)
    except KernelError as error:
        return -(error.errno or 0)
    with loaded:
        size = loaded.run(bytes(64)).retval
        found = loaded.maps["out"].lookup(bytes(4))
        assert found is not None
        return found[: size - 1]


class TestFormats:
    @pytest.mark.parametrize(("text", "values"), ACCEPTED, ids=[repr(text)[2:-1] for text, _ in ACCEPTED])
    def test_accepted(self, text: bytes, values: tuple[int | bytes, ...]) -> None:
        data = memory(DATA)
        printed = ours(text, arguments_at(values, ctypes.addressof(data)))
        assert isinstance(printed, bytes)
        if missing_right() is None:
            assert printed == kernels(text, values)

    @pytest.mark.parametrize("text", REFUSED, ids=repr)
    def test_refused(self, text: bytes) -> None:
        values = (1,) * (text.count(b"%") if text not in (b"%d", b"%lld %d", b"%px %d") else text.count(b"%") - 1)
        assert ours(text, list(values)) == -errno.EINVAL
        if missing_right() is None:
            assert kernels(text, values) == -errno.EINVAL

    def test_every_known_text(self) -> None:
        data = ctypes.addressof(memory_of := memory(DATA))
        assert ours(b"%5d|%-5d|%05d|%s", [*(-42,) * 3, data]) == b"  -42|-42  |-0042|hello"
        assert ours(b"%pI6", [data + 6]) == b"0102:0304:0506:0708:090a:0b0c:0d0e:0f10"
        del memory_of

    def test_a_pointer_to_nowhere_is_empty_text(self) -> None:
        assert ours(b"<%s>", [0xDEAD0000_00000000]) == b"<>"
        assert ours(b"%pI4", [8]) == b"0.0.0.0"

    def test_text_that_does_not_fit_is_cut_but_counted(self) -> None:
        out = ctypes.create_string_buffer(b"x" * 8, 8)
        assert call("snprintf", out, 4, memory(b"abcdef\0"), 0, 0) == 7
        assert out.raw == b"abc\0xxxx"
        assert call("snprintf", 0, 0, memory(b"abcdef\0"), 0, 0) == 7

    def test_arguments_come_in_eights(self) -> None:
        words = memory(bytes(128))
        assert call("trace_vprintk", memory(b"%d\0"), 3, words, 7) == -errno.EINVAL
        assert call("trace_vprintk", memory(b"%d\0"), 3, words, 104) == -errno.EINVAL
        assert call("trace_vprintk", memory(b"%d\0"), 3, 0, 8) == -errno.EINVAL
        assert call("trace_vprintk", memory(b"%d\0"), 3, words, 96) == 1


class TestQueue:
    def test_lines_come_out_in_order_with_cpu_and_time(self) -> None:
        cpus, queue = CpuBlock(2), PrintkQueue()
        queue.attach(cpus)
        cpus.set_time(100, step=1)
        for cpu, value in ((1, 7), (0, 8), (1, 9)):
            assert call("trace_printk", memory(b"value %d\0"), 9, value, 0, 0, cpus=cpus, cpu=cpu) == 7
        lines = queue.drain()
        assert [(line.text, line.cpu, line.nanoseconds) for line in lines] == [
            ("value 7", 1, 100),
            ("value 8", 0, 100),
            ("value 9", 1, 101),
        ]
        assert queue.drain() == []

    def test_a_format_needs_its_end_and_no_more_than_three_arguments(self) -> None:
        assert call("trace_printk", memory(b"abc"), 3, 0, 0, 0) == -errno.EINVAL
        assert call("trace_printk", memory(b"%d%d%d\0"), 7, 1, 2, 3) == 3
        assert call("trace_printk", memory(b"%d%d%d%d\0"), 9, 1, 2, 3) == -errno.EINVAL

    def test_lines_beyond_its_room_are_dropped_and_counted(self) -> None:
        cpus, queue = CpuBlock(1), PrintkQueue(bits=2)
        queue.attach(cpus)
        for round_ in range(3):
            for value in range(6):
                assert call("trace_printk", memory(b"%d\0"), 3, value, 0, 0, cpus=cpus) == 1
            assert [line.text for line in queue.drain()] == ["0", "1", "2", "3"]
            assert queue.dropped == 2 * (round_ + 1)

    def test_many_cpus_lose_no_line_while_python_reads(self) -> None:
        cpus, queue, threads, rounds = CpuBlock(3), PrintkQueue(bits=14), 3, 5000
        queue.attach(cpus)
        compile_host([_print_all])
        work: Any = _print_all
        workers = [threading.Thread(target=work, args=(cpus.address(number), rounds)) for number in range(threads)]
        for worker in workers:
            worker.start()
        lines = []
        while any(worker.is_alive() for worker in workers):
            lines += queue.drain()
        lines += queue.drain()
        assert queue.dropped == 0
        for cpu in range(threads):
            assert [line.text for line in lines if line.cpu == cpu] == [f"{cpu} {n}" for n in range(rounds)]


@struct
class _Format:
    """``"%d %d"`` as one word."""

    text: u64


@function
def _print_all(cpu: Ptr[Cpu], rounds: u32) -> None:
    format = _Format()
    format.text = u64(0x6425206425)
    for line in range(rounds):
        trace_printk(cpu, cast(Ptr[u8], address_of(format)), u32(8), u64(cpu.id), u64(line), u64(0))
