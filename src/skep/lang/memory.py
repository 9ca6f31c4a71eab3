"""Copying, filling and comparing memory: LLVM's intrinsics where a library stands behind them, loops elsewhere.

LLVM turns a copy of unknown or large size into a call of ``memcpy``. BPF has none, and LLVM ends the process over it,
so for BPF everything beyond a short run of known length is a loop of eight bytes at a time and then of single bytes.
"""

from __future__ import annotations

from skep.lang.builder import Builder
from skep.lang.target import Target
from skep.lang.types import BOOL
from skep.lang.values import Value

#: Bytes that LLVM unrolls for BPF whatever their alignment: its limit is 128 stores.
BPF_UNROLLED = 128
#: Up to this many bytes a comparison for equality of known size is unrolled into words.
_COMPARED = 128


def _inline(target: Target, size: Value) -> bool:
    return not target.is_bpf or (size.constant is not None and size.constant <= BPF_UNROLLED)


def copy(builder: Builder, target: Target, to: str, source: str, size: Value, align: int = 1) -> None:
    """Copy ``size`` bytes between places that do not overlap; both addresses are multiples of ``align``."""
    if _inline(target, size):
        places = f"ptr align {align} {to}, ptr align {align} {source}"
        builder.line(f"call void @llvm.memcpy.p0.p0.i64({places}, i64 {size.text}, i1 false)")
        return
    at = _copy_up(builder, to, source, "0", size.text, 8)
    _copy_up(builder, to, source, at, size.text, 1)


def move(builder: Builder, target: Target, to: str, source: str, size: Value) -> None:
    """Copy ``size`` bytes between places that may overlap."""
    if _inline(target, size):
        builder.line(f"call void @llvm.memmove.p0.p0.i64(ptr {to}, ptr {source}, i64 {size.text}, i1 false)")
        return
    up, down, end = builder.label(), builder.label(), builder.label()
    # Upwards unless the destination begins inside the source, where its end would be overwritten before it is read.
    first, second = (builder.assign(f"ptrtoint ptr {one} to i64") for one in (to, source))
    distance = builder.assign(f"sub i64 {first}, {second}")
    apart = builder.assign(f"icmp uge i64 {distance}, {size.text}")
    builder.branch(apart, up, down)
    builder.start(up)
    _copy_up(builder, to, source, "0", size.text, 1)
    builder.jump(end)
    builder.start(down)
    _copy_down(builder, to, source, size.text)
    builder.jump(end)
    builder.start(end)


def fill(builder: Builder, target: Target, to: str, byte: str, size: Value, align: int = 1) -> None:
    """Set ``size`` bytes to the ``i8`` called ``byte``."""
    if _inline(target, size):
        builder.line(f"call void @llvm.memset.p0.i64(ptr align {align} {to}, i8 {byte}, i64 {size.text}, i1 false)")
        return
    wide = builder.assign(f"zext i8 {byte} to i64")
    word = builder.assign(f"mul i64 {wide}, {0x0101010101010101}")
    at = _fill_up(builder, to, word, "0", size.text, 8)
    _fill_up(builder, to, byte, at, size.text, 1)


class _Upwards:
    """A loop over ``size`` bytes from ``start`` on in steps of ``step``, ending where a whole step no longer fits."""

    def __init__(self, builder: Builder, start: str, size: str, step: int) -> None:
        self.builder = builder
        self.size = size
        self.step = step
        self.head, self.body, self.end = builder.label(), builder.label(), builder.label()
        self.following = builder.name()
        before = builder.block
        builder.jump(self.head)
        builder.start(self.head)
        self.at = builder.assign(f"phi i64 [ {start}, %{before} ], [ {self.following}, %{self.body} ]")
        left = builder.assign(f"sub i64 {size}, {self.at}")
        fits = builder.assign(f"icmp uge i64 {left}, {step}")
        builder.branch(fits, self.body, self.end)
        builder.start(self.body)

    def address(self, base: str) -> str:
        return self.builder.assign(f"getelementptr inbounds i8, ptr {base}, i64 {self.at}")

    def close(self) -> str:
        self.builder.line(f"{self.following} = add nuw i64 {self.at}, {self.step}")
        self.builder.jump(self.head)
        self.builder.start(self.end)
        return self.at


def _copy_up(builder: Builder, to: str, source: str, start: str, size: str, step: int) -> str:
    loop = _Upwards(builder, start, size, step)
    word = builder.assign(f"load i{8 * step}, ptr {loop.address(source)}, align 1")
    builder.line(f"store i{8 * step} {word}, ptr {loop.address(to)}, align 1")
    return loop.close()


def _fill_up(builder: Builder, to: str, word: str, start: str, size: str, step: int) -> str:
    loop = _Upwards(builder, start, size, step)
    builder.line(f"store i{8 * step} {word}, ptr {loop.address(to)}, align 1")
    return loop.close()


def _copy_down(builder: Builder, to: str, source: str, size: str) -> None:
    head, body, end = builder.label(), builder.label(), builder.label()
    before, following = builder.block, builder.name()
    builder.jump(head)
    builder.start(head)
    left = builder.assign(f"phi i64 [ {size}, %{before} ], [ {following}, %{body} ]")
    more = builder.assign(f"icmp ne i64 {left}, 0")
    builder.branch(more, body, end)
    builder.start(body)
    builder.line(f"{following} = sub nuw i64 {left}, 1")
    address = builder.assign(f"getelementptr inbounds i8, ptr {source}, i64 {following}")
    byte = builder.assign(f"load i8, ptr {address}, align 1")
    address = builder.assign(f"getelementptr inbounds i8, ptr {to}, i64 {following}")
    builder.line(f"store i8 {byte}, ptr {address}, align 1")
    builder.jump(head)
    builder.start(end)


def equal(builder: Builder, left: str, right: str, size: Value) -> Value:
    """Whether ``size`` bytes are the same: words if the size is known and small, else a loop."""
    if size.constant is None or size.constant > _COMPARED:
        found = compare(builder, left, right, size)
        return Value(BOOL, builder.assign(f"icmp eq i32 {found}, 0"))
    if size.constant == 0:
        return Value(BOOL, "true", 1)
    emit = builder.assign
    rest, at = size.constant, 0
    differences = []
    while rest:
        width = next(one for one in (8, 4, 2, 1) if one <= rest)
        llvm = f"i{8 * width}"
        words = []
        for base in (left, right):
            address = emit(f"getelementptr inbounds i8, ptr {base}, i64 {at}") if at else base
            words.append(emit(f"load {llvm}, ptr {address}, align 1"))
        difference = emit(f"xor {llvm} {words[0]}, {words[1]}")
        differences.append(difference if width == 8 else emit(f"zext {llvm} {difference} to i64"))
        rest, at = rest - width, at + width
    total = differences[0]
    for one in differences[1:]:
        total = emit(f"or i64 {total}, {one}")
    return Value(BOOL, emit(f"icmp eq i64 {total}, 0"))


def compare(builder: Builder, left: str, right: str, size: Value) -> str:
    """The difference of the first two bytes that differ, as an ``i32``, or 0.

    Whole words are skipped while they are equal.
    """
    end = builder.label()
    words, differs = builder.label(), builder.label()
    head, following = builder.label(), builder.name()
    before = builder.block
    builder.jump(head)
    builder.start(head)
    at = builder.assign(f"phi i64 [ 0, %{before} ], [ {following}, %{differs} ]")
    rest = builder.assign(f"sub i64 {size.text}, {at}")
    fits = builder.assign(f"icmp uge i64 {rest}, 8")
    tail = builder.label()
    builder.branch(fits, words, tail)
    builder.start(words)
    pair = []
    for base in (left, right):
        address = builder.assign(f"getelementptr inbounds i8, ptr {base}, i64 {at}")
        pair.append(builder.assign(f"load i64, ptr {address}, align 1"))
    same = builder.assign(f"icmp eq i64 {pair[0]}, {pair[1]}")
    builder.branch(same, differs, tail)
    builder.start(differs)
    builder.line(f"{following} = add nuw i64 {at}, 8")
    builder.jump(head)
    builder.start(tail)
    byte_head, body, onwards, step = builder.label(), builder.label(), builder.label(), builder.name()
    builder.jump(byte_head)
    builder.start(byte_head)
    position = builder.assign(f"phi i64 [ {at}, %{tail} ], [ {step}, %{onwards} ]")
    inside = builder.assign(f"icmp ult i64 {position}, {size.text}")
    builder.branch(inside, body, end)
    builder.start(body)
    bytes_found = []
    for base in (left, right):
        address = builder.assign(f"getelementptr inbounds i8, ptr {base}, i64 {position}")
        byte = builder.assign(f"load i8, ptr {address}, align 1")
        bytes_found.append(builder.assign(f"zext i8 {byte} to i32"))
    difference = builder.assign(f"sub i32 {bytes_found[0]}, {bytes_found[1]}")
    alike = builder.assign(f"icmp eq i32 {difference}, 0")
    builder.branch(alike, onwards, end)
    builder.start(onwards)
    builder.line(f"{step} = add nuw i64 {position}, 1")
    builder.jump(byte_head)
    builder.start(end)
    return builder.assign(f"phi i32 [ 0, %{byte_head} ], [ {difference}, %{body} ]")
