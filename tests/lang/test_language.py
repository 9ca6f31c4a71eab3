"""What each part of the language means, held against what Python would do with it."""

from __future__ import annotations

import ctypes
import os
import time
from enum import IntEnum

import skep.lang
from skep.lang import (
    Array,
    Fn,
    Function,
    Ptr,
    address_of,
    align_of,
    array,
    assume,
    atomic_load,
    atomic_max,
    atomic_min,
    big_endian,
    cast,
    external,
    function,
    i8,
    i16,
    i32,
    i64,
    length,
    likely,
    load_unaligned,
    memory_compare,
    memory_copy,
    memory_equal,
    memory_move,
    memory_set,
    null,
    offset,
    offset_of,
    scratch,
    size_of,
    store_unaligned,
    struct,
    table,
    target_is,
    to_bytes,
    u8,
    u16,
    u32,
    u64,
    unlikely,
    unreachable,
    variable,
)
from tests.lang.generated import from_text


class Color(IntEnum):
    RED = 3
    GREEN = 5


@struct
class Point:
    x: i32
    y: i32


@struct
class Shape:
    color: u8
    corners: Array[Point] = length(3)
    grid: Array[Array[u16]] = length(2, 3)
    center: Point
    next: Ptr[Shape]
    visible: bool


@struct(packed=True)
class Header:
    kind: u8
    size: u32
    address: u64


@struct
class Statistics:
    calls: u64
    last: Point


@struct
class Timespec:
    seconds: i64
    nanoseconds: i64


LIMIT = 10
STATISTICS = variable(Statistics)
HISTORY = variable(u16, 4)
PRIMES = table(u32, (2, 3, 5, 7, 11))
getpid = external("getpid", [], i32)
clock_gettime = external("clock_gettime", [i32, Ptr[Timespec]], i32)


@function
def shape_work(shape: Ptr[Shape], n: u32) -> i64:
    shape.center.x = 4
    shape.center.y -= 9
    corner = address_of(shape.corners[n])
    corner.x += shape.center.x
    shape.corners[2] = shape.corners[n]
    shape.grid[1][n] = 7
    address_of(shape.grid[0])[2] = 8
    total: i64 = 0
    for i in range(len(shape.corners)):
        total += i64(shape.corners[i].x)
    if shape.visible and shape.next and shape.next.visible:
        total += 100
    shape.visible = not shape.visible
    return total


def test_structures_arrays_and_fields() -> None:
    shape, other = Shape(visible=True), Shape(visible=True)
    shape.center.y = 2
    assert shape_work(address_of(shape), 1) == 8
    assert (shape.center.x, shape.center.y) == (4, -7)
    assert [corner.x for corner in shape.corners] == [0, 4, 4]
    assert list(shape.grid[1]) == [0, 7, 0]
    assert shape.grid[0][2] == 8
    assert shape.visible is False
    shape.visible = True
    shape.next = address_of(other)
    assert shape_work(address_of(shape), 0) == 4 + 4 + 4 + 100


@function
def header_work(header: Ptr[Header]) -> u64:
    header.size += 1
    header.address = header.address ^ u64(header.kind)
    return header.address + u64(header.size)


def test_packed_fields_lie_at_any_address() -> None:
    header = Header(kind=7, size=2**32 - 1, address=1)
    assert header_work(address_of(header)) == 6
    assert to_bytes(header) == b"\x07" + bytes(4) + b"\x06" + bytes(7)


@function
def pointers(p: Ptr[u32], n: i32) -> u64:
    q = offset(p, n)
    if q == p:
        return 1
    if q < p:
        return 2
    distance = (u64(q) - u64(p)) // size_of(u32)
    assert distance == u64(n)
    nothing = null(u32)
    if nothing or not q or cast(Ptr[u32], 0) != nothing:
        unreachable()
    q[0] = 5
    cast(Ptr[u8], u64(q) + 1)[0] = 1
    return u64(q[0])


def test_pointers() -> None:
    row = (ctypes.c_uint32 * 8)()
    middle = ctypes.addressof(row) + 16
    assert pointers(cast(Ptr[u32], middle), 0) == 1
    assert pointers(cast(Ptr[u32], middle), -2) == 2
    assert pointers(cast(Ptr[u32], middle), 3) == 0x105
    assert row[7] == 0x105


@function
def note(log: Ptr[u32], what: u32, result: bool) -> bool:
    log[0] = log[0] * 10 + what
    return result


@function
def decisions(log: Ptr[u32], a: bool, b: bool, c: bool) -> u32:
    log[0] = 0
    if (note(log, 1, a) and note(log, 2, b)) or note(log, 3, c):
        log[0] += 100000
    chained = 1 < log[0] < 100 <= 100
    picked = u32(4) if note(log, 5, chained) else u32(6)
    return log[0] * 10 + picked


def _decisions(a: bool, b: bool, c: bool) -> int:
    log = 0

    def note(what: int, result: bool) -> bool:
        nonlocal log
        log = log * 10 + what
        return result

    if (note(1, a) and note(2, b)) or note(3, c):
        log += 100000
    picked = 4 if note(5, 1 < log < 100) else 6
    return u32(log * 10 + picked)


def test_only_what_decides_is_evaluated() -> None:
    log = ctypes.c_uint32()
    at = cast(Ptr[u32], ctypes.addressof(log))
    for bits in range(8):
        a, b, c = bool(bits & 1), bool(bits & 2), bool(bits & 4)
        assert decisions(at, a, b, c) == _decisions(a, b, c)


@function
def ranges(log: Ptr[u64], from_: i8, to: i8) -> u64:
    count: u64 = 0
    for k in range(from_, to, 100):
        log[count] = u64(k)
        count += 1
    for k in range(from_, to, -100):
        log[count] = u64(k)
        count += 1
    for m in range(u8(250), u8(255), 3):
        if m == 253:
            continue
        log[count] = u64(m)
        count += 1
    for m in range(u8(5)):
        m += 100
        if m > 102:
            break
        log[count] = u64(m)
        count += 1
    return count


def test_ranges_never_wrap() -> None:
    log = (ctypes.c_uint64 * 64)()
    at = cast(Ptr[u64], ctypes.addressof(log))
    for start, stop in ((-128, 127), (127, -128), (0, 0), (3, 4), (4, 3)):
        expected = [*range(start, stop, 100), *range(start, stop, -100), 250, 100, 101, 102]
        count = ranges(at, start, stop)
        assert list(log[:count]) == [u64(value) for value in expected]


@function
def swaps(a: u64, b: u64, n: u32) -> u64:
    row = array(u64, 2)
    for _ in range(n):
        a, b = b, a + b
        row[0], row[1] = row[1], a
    return a * 1000 + row[0] + row[1]


def test_parts_are_assigned_together() -> None:
    a, b, row = 1, 1, [0, 0]
    for _ in range(9):
        a, b = b, a + b
        row[0], row[1] = row[1], a
    assert swaps(1, 1, 9) == a * 1000 + sum(row)


@function
def constants(which: u32) -> u64:
    if which == Color.RED:
        return u64(LIMIT) * Color.GREEN.value
    if which == Color.GREEN:
        return size_of(Shape) * 1000 + align_of(Shape) * 100 + offset_of(Shape, "center.y")
    if which >= len(PRIMES):
        return skep.lang.types.POINTER_SIZE
    return u64(PRIMES[which])


def test_constants_of_the_module() -> None:
    assert constants(3) == 50
    assert constants(5) == size_of(Shape) * 1000 + 800 + offset_of(Shape, "center.y")
    assert constants(7) == 8
    assert [constants(at) for at in (0, 1, 2, 4)] == [2, 3, 5, 11]


@function
def remember(x: i32) -> u64:
    STATISTICS.calls += 1
    STATISTICS.last.x = x
    HISTORY[STATISTICS.calls & 3] = u16(x)
    return STATISTICS.calls


def test_variables_are_shared_with_python() -> None:
    STATISTICS.calls = 41
    assert remember(-6) == 42
    assert STATISTICS.last.x == -6
    assert HISTORY[2] == u16(-6)
    HISTORY[1] = 9
    assert HISTORY[1] == 9


@function
def time_and_process() -> u64:
    now = Timespec()
    if clock_gettime(1, address_of(now)) != 0:
        return 0
    return u64(now.seconds) * 1000000000 + u64(now.nanoseconds) + u64(getpid()) * 0


def test_functions_of_c() -> None:
    before = time.monotonic_ns()
    assert before <= time_and_process() <= time.monotonic_ns()
    made = function(_process)
    assert made() == os.getpid()


def _process() -> i32:
    return getpid()


@function
def sized(p: Ptr[u8], key_size: u32) -> u64:
    if key_size == 4:
        return u64(cast(Ptr[u32], p)[0])
    if key_size == 8:
        return cast(Ptr[u64], p)[0]
    return key_size_is_not_supported  # type: ignore[name-defined, no-any-return]  # noqa: F821


@function
def fold(step: Fn[[u64, u64], u64], values: Ptr[u64], count: u32) -> u64:
    total: u64 = 1
    for i in range(count):
        total = step(total, values[i])
    return total


@function
def product(a: u64, b: u64) -> u64:
    return a * b


@function
def total_of(a: u64, b: u64) -> u64:
    return a + b


def test_specialisation() -> None:
    data = ctypes.create_string_buffer(b"\x01\x02\x03\x04\x05\x06\x07\x08")
    at = cast(Ptr[u8], ctypes.addressof(data))
    four, eight = sized.specialise(key_size=4), sized.specialise(key_size=8)
    assert four(at) == 0x04030201
    assert eight(at) == 0x0807060504030201
    assert sized.specialise(key_size=4) is four
    assert (four.symbol, eight.symbol) == (f"{sized.symbol}.key_size.4", f"{sized.symbol}.key_size.8")
    assert [name for name, _ in four.parameters] == ["p"]
    row = (ctypes.c_uint64 * 3)(2, 3, 7)
    values = cast(Ptr[u64], ctypes.addressof(row))
    assert fold(product, values, 3) == 42
    assert fold.specialise(step=total_of)(values, 3) == 13
    assert fold.specialise(step=total_of).specialise(count=2)(values) == 6
    assert "call noundef i64 %" not in fold.specialise(step=total_of).emit()


def _maker(step: int, kind: type[int]) -> Function[[int], int]:
    @function
    def add(x: kind) -> kind:  # type: ignore[valid-type]
        y: kind = x + step  # type: ignore[valid-type]
        return y

    return add


def test_functions_made_by_functions() -> None:
    one, two = _maker(1, u8), _maker(2, i64)
    assert one(255) == 0
    assert two(255) == 257
    assert one.symbol != two.symbol


@function
def blocks(a: Ptr[u8], b: Ptr[u8], n: u64) -> i64:
    memory_set(a, 300, n)
    memory_copy(b, a, n)
    if not memory_equal(a, b, n) or not memory_equal(a, b, 13):
        return -1
    b[12] = 45
    if memory_equal(a, b, 13):
        return -2
    order = memory_compare(a, b, n)
    memory_move(offset(a, 1), b, 13)
    memory_move(b, offset(b, 5), 9)
    return i64(order) * 1000 + i64(a[13]) + i64(b[7])


def test_memory() -> None:
    a, b = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    result = blocks(cast(Ptr[u8], ctypes.addressof(a)), cast(Ptr[u8], ctypes.addressof(b)), 40)
    assert result == (44 - 45) * 1000 + 45 + 45
    assert a.raw[:15] == bytes([44] * 13 + [45, 44])


@function
def unaligned(p: Ptr[u8]) -> u64:
    wide = cast(Ptr[u32], offset(p, 1))
    store_unaligned(wide, load_unaligned(wide) + 1)
    return u64(big_endian(load_unaligned(cast(Ptr[u16], offset(p, 1)))))


def test_unaligned_access() -> None:
    data = ctypes.create_string_buffer(b"\xaa\xff\x01\x00\x00", 5)
    assert unaligned(cast(Ptr[u8], ctypes.addressof(data))) == 0x0002
    assert data.raw == b"\xaa\x00\x02\x00\x00"


@function
def extremes(p: Ptr[i32], q: Ptr[u32]) -> i64:
    atomic_min(p, -5)
    atomic_max(q, 0xFFFFFFF0)
    assume(atomic_load(q) != 0)
    return i64(max(atomic_load(p), -7)) + i64(min(atomic_load(q), 9)) + i64(abs(p[0]))


def test_minima_and_maxima_follow_the_sign() -> None:
    low, high = ctypes.c_int32(3), ctypes.c_uint32(1)
    result = extremes(cast(Ptr[i32], ctypes.addressof(low)), cast(Ptr[u32], ctypes.addressof(high)))
    assert result == -5 + 9 + 5
    assert (low.value, high.value) == (-5, 0xFFFFFFF0)


@function
def locals_of_a_loop(n: u32) -> u64:
    total: u64 = 0
    for i in range(n):
        point = Point(x=i32(i))
        row = array(u8, 4)
        row[i & 3] += 1
        free = scratch(u16, 2)
        free[1] = 3
        point.y += 2
        total += u64(point.x + point.y) + u64(row[0]) + u64(free[1])
    return total


def test_locals_start_afresh_in_every_round() -> None:
    assert locals_of_a_loop(5) == sum(i + 2 + (i % 4 == 0) + 3 for i in range(5))


@function
def where() -> u32:
    if target_is("x86_64", "aarch64"):
        return 1
    if target_is("bpf"):
        return only_on_bpf  # type: ignore[name-defined, no-any-return]  # noqa: F821
    return 3


def test_a_target_is_a_constant() -> None:
    assert where() in (1, 3)


@function
def hinted(x: u64) -> u64:
    if likely(x > 3) and not unlikely(x == 7):
        return 1
    return 0


def test_hints_change_nothing() -> None:
    assert [hinted(x) for x in (3, 4, 7)] == [0, 1, 0]


@function
def narrow(a: u8, b: i8, c: i16, flag: bool) -> i16:
    a += 200
    b -= 100
    return i16(a) + i16(b) + c + i16(flag)


def test_narrow_arguments_and_results() -> None:
    assert narrow(100, -100, -1, True) == 44 + 56
    assert narrow(0x1FF, 0, 0, bool(2)) == 199 - 100 + 1


def test_a_long_chain_of_choices() -> None:
    cases = "".join(f"    {'el' if at else ''}if x == {at}:\n        y = {at * 7 % 256}\n" for at in range(600))
    made = from_text(f"def made(x: u32) -> u32:\n    y: u32 = 0\n{cases}    return y\n")
    assert [made(at) for at in (0, 1, 599, 600)] == [0, 7, 599 * 7 % 256, 0]


@function
def declared(x: u64) -> i32:
    sign: i32
    limit = 5
    if x > limit:
        sign = 1
    elif x < limit:
        sign = -1
    else:
        return limit
    while True:
        sign *= 2
        if sign > 100 or sign < -100:
            break
    return sign


def test_declarations_and_endless_loops() -> None:
    assert [declared(x) for x in (4, 5, 6)] == [-128, 5, 128]
