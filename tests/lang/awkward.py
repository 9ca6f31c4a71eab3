"""Functions that a code generator may choke on; each name ends in what BPF makes of it: ``_fits`` or ``_refused``.

Run as a script in a process of its own, it compiles them all for the host and for BPF and prints a line for each.
"""

from __future__ import annotations

import sys
from typing import Any

from skep.errors import LanguageError
from skep.lang import (
    ACQ_REL,
    ACQUIRE,
    RELAXED,
    RELEASE,
    SEQ_CST,
    Array,
    Fn,
    Function,
    Ptr,
    address_of,
    array,
    assume,
    atomic_add,
    atomic_and,
    atomic_compare_exchange,
    atomic_exchange,
    atomic_load,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_store,
    atomic_sub,
    atomic_xor,
    byte_swap,
    cast,
    compile_bpf,
    compile_host,
    compiler_fence,
    external,
    fence,
    function,
    i8,
    i16,
    i32,
    i64,
    leading_zeros,
    length,
    memory_compare,
    memory_copy,
    memory_equal,
    memory_move,
    memory_set,
    multiply_high,
    multiply_overflows,
    offset,
    popcount,
    prefetch,
    relax,
    rotate_left,
    struct,
    table,
    trailing_zeros,
    u8,
    u16,
    u32,
    u64,
    unlikely,
    unreachable,
    variable,
)


@struct
class Big:
    parts: Array[u64] = length(100)


@struct
class Wide:
    first: u64
    second: u64
    third: u8


@struct(packed=True)
class Packed:
    kind: u8
    count: u64


STATE = variable(u64)
SQUARES = table(u32, [one * one for one in range(200)])
getpid = external("getpid", [], i32)


@function
def copy_variable_fits(to: Ptr[u8], source: Ptr[u8], size: u64) -> None:
    memory_copy(to, source, size)


@function
def copy_large_fits(to: Ptr[u8], source: Ptr[u8]) -> None:
    memory_copy(to, source, 5000)


@function
def copy_structure_fits(to: Ptr[Big], source: Ptr[Big]) -> None:
    to[0] = source[0]


@function
def move_variable_fits(to: Ptr[u8], source: Ptr[u8], size: u64) -> None:
    memory_move(to, source, size)


@function
def move_large_fits(to: Ptr[u8], source: Ptr[u8]) -> None:
    memory_move(to, source, 2000)


@function
def set_variable_fits(to: Ptr[u8], byte: u8, size: u64) -> None:
    memory_set(to, byte, size)


@function
def set_by_hand_fits(to: Ptr[u8], size: u64) -> None:
    for i in range(size):
        to[i] = 0


@function
def copy_by_hand_fits(to: Ptr[u64], source: Ptr[u64], size: u32) -> None:
    for i in range(size):
        to[i] = source[i]


@function
def measure_by_hand_fits(text: Ptr[u8]) -> u64:
    size: u64 = 0
    while text[size] != 0:
        size += 1
    return size


@function
def compare_fits(left: Ptr[u8], right: Ptr[u8], size: u64) -> i32:
    if memory_equal(left, right, 77):
        return 7
    return memory_compare(left, right, size)


@function
def large_local_refused(at: u64) -> u64:
    row = array(u64, 80)
    row[at] = at
    return row[at ^ 1]


@function
def many_locals_refused(at: u64) -> u64:
    first = array(u64, 30)
    second = array(u64, 30)
    third = array(u64, 30)
    first[at] = at
    second[at ^ 3] = at
    third[at ^ 5] = at
    return first[at ^ 1] + second[at] + third[at]


@function
def local_that_vanishes_fits(at: u64) -> u64:
    row = array(u64, 80)
    row[3] = at
    return row[3]


@function
def six_parameters_refused(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64:
    return a + b + c + d + e + f


@function(inline="never")
def six_called(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64:
    return a + b * c + d * e + f


@function
def six_inlined(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64:
    return a + b * c + d * e + f


@function
def calls_six_refused(a: u64) -> u64:
    return six_called(a, a, a, a, a, a)


@function
def inlines_six_fits(a: u64) -> u64:
    return six_inlined(a, a + 1, a, a, a, a)


@function
def calls_c_refused() -> i32:
    return getpid()


@function
def calls_pointer_refused(what: Fn[[u64], u64]) -> u64:
    return what(3)


@function
def double(a: u64) -> u64:
    return a * 2


@function
def calls_known_function_fits(a: u64) -> u64:
    return double(a)


@function
def reads_table_refused(at: u32) -> u32:
    return SQUARES[at]


@function
def reads_known_element_fits() -> u32:
    return SQUARES[9]


@function
def uses_variable_refused() -> u64:
    STATE[0] += 1
    return STATE[0]


@function
def small_atomic_fits(at: Ptr[u8]) -> u8:
    return atomic_exchange(at, 1)


@function
def small_atomic_sub_fits(at: Ptr[u16]) -> u16:
    return atomic_sub(at, 1)


@function
def small_compare_exchange_fits(at: Ptr[u16]) -> u16:
    return atomic_compare_exchange(at, 1, 2)


@function
def small_ordered_load_fits(at: Ptr[u16]) -> u16:
    return atomic_load(at, SEQ_CST)


@function
def small_everything_fits(p: Ptr[u8], q: Ptr[i16], n: u64) -> u64:
    for i in range(n):
        byte = offset(p, i & 7)
        word = offset(q, i & 3)
        old = atomic_compare_exchange(byte, u8(i), u8(i * 7))
        atomic_store(byte, atomic_load(byte) + old)
        old = atomic_add(byte, u8(i)) ^ atomic_sub(byte, 3, ACQ_REL) ^ atomic_and(byte, 0xF7) ^ atomic_or(byte, 64)
        old ^= atomic_xor(byte, old, RELEASE) + atomic_max(byte, 9) + atomic_min(byte, 200, RELAXED)
        atomic_min(word, i16(old) - 100)
        atomic_max(word, -90)
        atomic_exchange(offset(q, i * 3 & 3), atomic_compare_exchange(word, -90, 5, ACQUIRE))
    return u64(p[0]) << 32 | u64(p[5]) << 16 | u64(p[7]) | u64(q[1])


@function
def narrow_atomics(p: Ptr[u8], n: u64) -> u64:
    return small_everything_fits(p, cast(Ptr[i16], offset(p, 8)), n)


@function
def small_loads_and_stores_fits(at: Ptr[u16]) -> u16:
    atomic_store(at, 3, RELEASE)
    atomic_store(at, 3, RELAXED)
    return atomic_load(at, ACQUIRE) + atomic_load(at, RELAXED)


@function
def all_atomics_fits(at: Ptr[u32], other: Ptr[i64]) -> i64:
    total = i64(atomic_add(at, 1)) + i64(atomic_sub(at, 1, ACQ_REL)) + i64(atomic_and(at, 7, RELEASE))
    total += i64(atomic_or(at, 1, RELAXED)) + atomic_xor(other, 1) + atomic_exchange(other, 5, ACQUIRE)
    total += atomic_min(other, -3) + atomic_max(other, 9, ACQ_REL) + i64(atomic_min(at, 4)) + i64(atomic_max(at, 4))
    total += i64(atomic_compare_exchange(at, 5, 6)) + i64(atomic_load(at))
    atomic_store(at, 4)
    atomic_add(at, 1, RELAXED)
    fence()
    fence(ACQUIRE)
    compiler_fence()
    relax()
    return total + atomic_load(other, ACQUIRE)


@function
def pointer_atomics_fits(at: Ptr[Ptr[u8]], new: Ptr[u8]) -> Ptr[u8]:
    old = atomic_exchange(at, new)
    old = atomic_compare_exchange(at, old, new, ACQ_REL)
    atomic_store(at, old)
    return atomic_load(at)


@function
def wide_products_fits(a: u64, b: u64) -> u64:
    if multiply_overflows(a, b) or multiply_overflows(i64(a), i64(b)) or multiply_overflows(i8(a), i8(b)):
        return 3
    return multiply_high(a, b) ^ u64(multiply_high(u32(a), u32(b)))


@function
def product_by_hand_refused(a: u64, b: u64) -> u64:
    low = (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF)
    middle = (a >> 32) * (b & 0xFFFFFFFF) + (low >> 32)
    other = (a & 0xFFFFFFFF) * (b >> 32) + (middle & 0xFFFFFFFF)
    return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32)


@function
def bits_fits(a: u64, b: u8) -> u64:
    total = leading_zeros(a) + trailing_zeros(a) + popcount(a) + byte_swap(a) + rotate_left(a, u64(b))
    small = leading_zeros(b) + trailing_zeros(b) + popcount(b) + byte_swap(b) + rotate_left(b, b)
    middle = u64(leading_zeros(u16(a))) + u64(trailing_zeros(u32(a)))
    return total + u64(small) + middle + u64(byte_swap(u16(a))) + u64(byte_swap(i32(a)))


@function
def division_by_lowest_bit_fits(a: u64, b: u64) -> u64:
    return a // (b & (0 - b))


@function
def signed_division_fits(a: i64, b: i32, c: i8) -> i64:
    return a // i64(b) + a % i64(c) + i64(b // i32(c)) + i64(c // i8(b)) + i64(c % 3)


@function
def many_choices_fits(a: u64) -> u64:
    if a == 0:
        return 91
    if a == 1:
        return 17
    if a == 2:
        return 54
    if a == 3:
        return 3
    if a == 4:
        return 1000
    if a == 5:
        return 71
    if a == 6:
        return 5
    return 2


@function
def many_values_fits(p: Ptr[u64]) -> u64:
    a, b, c, d = p[0], p[1], p[2], p[3]
    e, f, g, h = p[4], p[5], p[6], p[7]
    k, m, n, o = p[8], p[9], p[10], p[11]
    for _ in range(100):
        fence()
        a, b, c, d = b * c ^ o, c + d, d ^ e, e - f
        e, f, g, h = f * g, g ^ h, h + k, k - m
        k, m, n, o = m + a, n * b, o ^ c, a + d
    return a + b + c + d + e + f + g + h + k + m + n + o


@function
def wide_copies_fits(to: Ptr[Wide], source: Ptr[Wide]) -> u64:
    local = Wide(first=3)
    to[0] = source[0]
    to[1] = to[0]
    return local.first + to.second


@function
def packed_fields_fits(p: Ptr[Packed]) -> u64:
    p.count += 1
    return p.count + u64(p.kind)


@function
def endless_fits(p: Ptr[u32]) -> None:
    while True:
        atomic_add(p, 1)


@function
def never_there_fits(a: u64) -> u64:
    if a == 3:
        unreachable()
    assume(a < 100)
    return a


@function
def nothing_but_unreachable_fits(a: u64) -> u64:
    unreachable()


@function
def empty_fits() -> None:
    pass


@function
def hints_fits(p: Ptr[u64], n: u64) -> u64:
    prefetch(p)
    prefetch(offset(p, n), True)
    if unlikely(p[0] > 5):
        return u64(cast(Ptr[u8], 1234))
    return n


@function
def address_of_local_fits(n: u64) -> u64:
    row = array(u8, 16)
    memory_set(address_of(row), 3, n & 15)
    return u64(row[n & 15])


@function(inline="never")
def slow(a: u64, p: Ptr[u64]) -> u64:
    fence()
    return p[a] + a


@function
def calls_slow_twice_fits(a: u64, p: Ptr[u64]) -> u64:
    return slow(a, p) + slow(a + 1, p)


@struct(align=64)
class Line:
    value: u64
    tail: Array[u8] = length(0)


@function
def aligned_local_fits(n: u64) -> u64:
    line = Line(value=n)
    other = array(Line, 2)
    other[n & 1].value = 3
    compiler_fence()
    return line.value + other[0].value + u64(address_of(other[1].value)) % 2


@function
def elements_behind_a_structure_fits(line: Ptr[Line], n: u64) -> u8:
    line.tail[0] = 5
    return line.tail[n]


@function(inline="never", cold=True)
def cold_slow_path(p: Ptr[u64]) -> u64:
    fence()
    return p[0]


@function
def calls_cold_fits(p: Ptr[u64], n: u64) -> u64:
    if n > 100:
        return cold_slow_path(p)
    return n


@function(cold=True)
def cold_itself_fits(n: u64) -> u64:
    return n + 1


@function
def sum_of_words(p: Ptr[u16], n: u64) -> u64:
    total: u64 = 0
    for i in range(n):
        if p[i] == 3 or p[i] == 9 or p[i] == 77 or p[i] == 2:
            total += u64(p[i])
        elif unlikely(p[i] == 4):
            total -= 1
    return total


@function
def many_blocks_fits(p: Ptr[u16], n: u64) -> u64:
    total: u64 = 0
    for k in range(40):
        total += sum_of_words(p, n & 3) * sum_of_words(offset(p, k), n) + sum_of_words(p, 2)
        total += sum_of_words(p, n & 7) * sum_of_words(offset(p, 2), n) + sum_of_words(p, 3)
        total += sum_of_words(p, n & 5) * sum_of_words(offset(p, 4), n) + sum_of_words(p, 4)
    return total


AWKWARD = {name: thing for name, thing in list(globals().items()) if name.endswith(("_fits", "_refused"))}


def _long(lines: int) -> Function[..., Any]:
    from tests.lang.generated import from_text

    body = "".join(f"    p[{at % 512}] = p[{at * 7 % 512}] ^ (x * {at | 1})\n    fence()\n" for at in range(lines))
    return from_text(f"def made(p: Ptr[u64], x: u64) -> None:\n{body}")


def _deep(levels: int) -> Function[..., Any]:
    from tests.lang.generated import from_text

    return from_text(f"def made(x: u64) -> u64:\n    return {'x + ' * levels}x\n")


if __name__ == "__main__":
    everything = {
        **AWKWARD,
        "long_fits": _long(150),
        "longer_refused": _long(4000),
        "deep_fits": _deep(100),
        "deeper_refused": _deep(1500),
    }
    compile_host(AWKWARD.values())
    for one in (_long(150), _deep(100), _long(1500)):
        compile_host([one])
    try:
        compile_host([_deep(1500)])
    except LanguageError as error:
        print(error, file=sys.stderr)
    for name, one in everything.items():
        try:
            compile_bpf(one)
        except LanguageError as error:
            print(name, "refused", error.problem)
        else:
            print(name, "fits")
        sys.stdout.flush()
