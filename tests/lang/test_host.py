"""Functions run as machine code of the host and mean what their text says."""

from __future__ import annotations

import threading

from skep.lang import (
    ACQUIRE,
    RELEASE,
    Array,
    Fn,
    Ptr,
    address_of,
    array,
    atomic_add,
    atomic_exchange,
    atomic_store,
    cast,
    function,
    length,
    relax,
    struct,
    table,
    u8,
    u16,
    u32,
    u64,
    variable,
)


@struct
class SpinLock:
    value: u32


@struct
class Node:
    value: u32
    flag: bool
    next: Ptr[Node]
    tags: Array[u8] = length(4)


@struct
class Cell:
    value: u64


SIZE = 16
CALLS = variable(u64)
STEPS = table(u16, (1, 2, 3, 500))


@function
def acquire(lock: Ptr[SpinLock]) -> None:
    while atomic_exchange(address_of(lock.value), 1, ACQUIRE) != 0:
        relax()


@function
def release(lock: Ptr[SpinLock]) -> None:
    atomic_store(address_of(lock.value), 0, RELEASE)


@function
def count_under_lock(lock: Ptr[SpinLock], counter: Ptr[u64], times: u32) -> None:
    for _ in range(times):
        acquire(lock)
        counter[0] += 1
        release(lock)


@function
def total(head: Ptr[Node], limit: u32) -> u64:
    found: u64 = 0
    node = head
    steps: u32 = 0
    while node and steps < limit:
        found += u64(node.value)
        if node.flag:
            found += u64(node.tags[1])
        node = node.next
        steps += 1
    CALLS[0] += 1
    return found


@function
def pattern(count: u32, key_size: u32) -> u64:
    buffer = array(u8, SIZE)
    for i in range(count):
        if i >= SIZE:
            break
        if key_size == 8:
            buffer[i] = u8(i)
        else:
            buffer[i] = 7
    mixed: u64 = 0
    for i in range(SIZE):
        mixed = (mixed << 3) ^ u64(buffer[i])
    return mixed + u64(STEPS[count & 3])


@function
def double(value: u64) -> u64:
    return value * 2


@function
def triple(value: u64) -> u64:
    return value * 3


@function
def apply(step: Fn[[u64], u64], value: u64, times: u32) -> u64:
    for _ in range(times):
        value = step(value)
    return value


@function
def pick(value: u64, which: bool) -> u64:
    return apply(double if which else triple, value, 2)


def _pattern(count: int, key_size: int) -> int:
    buffer = [0] * SIZE
    for i in range(min(count, SIZE)):
        buffer[i] = i if key_size == 8 else 7
    mixed = 0
    for byte in buffer:
        mixed = u64(mixed << 3) ^ byte
    return u64(mixed + STEPS[count & 3])


def test_a_lock_keeps_threads_apart() -> None:
    lock, counter = SpinLock(), Cell()
    threads = [
        threading.Thread(target=count_under_lock, args=(address_of(lock), address_of(counter), 20_000))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 40_000
    assert lock.value == 0


def test_pointers_fields_and_module_state() -> None:
    before = CALLS[0]
    last = Node(value=4, flag=True)
    last.tags[1] = 10
    first = Node(value=3)
    first.next = address_of(last)
    assert total(address_of(first), 10) == 17
    assert total(address_of(first), 1) == 3
    assert CALLS[0] == before + 2


def test_loops_arrays_tables_and_constants() -> None:
    for count in (0, 3, 16, 40):
        for key_size in (4, 8):
            expected = _pattern(count, key_size)
            assert pattern(count, key_size) == expected
            assert pattern.specialise(key_size=key_size)(count) == expected


def test_functions_are_values() -> None:
    assert apply(double, 5, 3) == 40
    assert pick(5, True) == 20
    assert pick(5, False) == 45
    assert apply.specialise(step=triple)(1, 4) == 81


def test_atomics_return_what_was_there() -> None:
    @function
    def fetch(at: Ptr[u64], by: u64) -> u64:
        return atomic_add(at, by)

    cell = Cell(value=5)
    assert fetch(cast(Ptr[u64], address_of(cell)), 7) == 5
    assert cell.value == 12
