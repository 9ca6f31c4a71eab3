"""Every lock excludes, keeps its state in four bytes, lets everybody through, and goes on when threads outnumber
cores.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from skep.lang import (
    Function,
    Ptr,
    compile_host,
    emit,
    function,
    struct,
    u32,
    u64,
)
from skep.lang.target import TARGETS
from skep.locks import ARCHITECTURES, LOCKS, Lock, lock_for
from skep.memory import Cpu, CpuBlock


@struct(align=128)
class Guarded:
    """A lock and what it guards: two counters that must always be equal, with other things around them."""

    before: u32
    word: u32
    after: u32
    stop: u32
    first: u64
    second: u64
    torn: u64


_workers: dict[str, Function[..., Any]] = {}


def worker(lock: Lock) -> Function[..., Any]:
    """A loop that takes the lock ``rounds`` times or until it is told to stop, and returns how often it did."""
    acquire, release = lock.lock, lock.unlock

    @function
    def work(cpu: Ptr[Cpu], guarded: Ptr[Guarded], word: Ptr[u32], rounds: u64) -> u64:
        done = u64(0)
        while done < rounds and guarded.stop == 0:
            acquire(cpu, word)
            if guarded.first != guarded.second:
                guarded.torn += 1
            guarded.first += 1
            guarded.second += 1
            release(word)
            done += 1
        return done

    return _workers.setdefault(lock.name, work)


def on_threads(count: int, work: Callable[[int], int]) -> list[int]:
    results = [0] * count

    def run(number: int) -> None:
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def word_of(guarded: Guarded) -> int:
    return ctypes.addressof(ctypes.c_uint32.from_address(guarded._skep_address + 4))  # type: ignore[attr-defined]


@pytest.mark.parametrize("lock", LOCKS.values(), ids=lambda lock: lock.name)
class TestEveryLock:
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_only_one_is_inside(self, lock: Lock, threads: int) -> None:
        work, guarded, cpus = worker(lock), Guarded(before=0xAAAAAAAA, after=0xBBBBBBBB), CpuBlock(threads)
        compile_host([work])
        rounds = 40_000 if lock.name != "ticket" or threads <= (os.cpu_count() or 1) else 2_000
        done = on_threads(threads, lambda number: work(cpus.address(number), guarded, word_of(guarded), rounds))
        assert done == [rounds] * threads
        assert guarded.first == guarded.second == threads * rounds
        assert guarded.torn == 0
        assert (guarded.before, guarded.word, guarded.after)[::2] == (0xAAAAAAAA, 0xBBBBBBBB)

    def test_python_excludes_programs(self, lock: Lock) -> None:
        work, guarded, cpus = worker(lock), Guarded(), CpuBlock(1)
        compile_host([work, lock.lock_outside, lock.unlock])
        results: list[int] = []
        thread = threading.Thread(
            target=lambda: results.append(work(cpus.address(0), guarded, word_of(guarded), 1 << 40))
        )
        thread.start()
        for _ in range(50):
            lock.lock_outside(word_of(guarded))
            before = guarded.first
            time.sleep(0.0005)
            assert guarded.first == before == guarded.second
            guarded.first = guarded.second = before + 1
            lock.unlock(word_of(guarded))
        guarded.stop = 1
        thread.join()
        assert guarded.first == guarded.second == results[0] + 50
        assert guarded.torn == 0

    @pytest.mark.parametrize("arch", [arch for arch, row in TARGETS.items() if not row.is_bpf])
    def test_it_compiles_for_every_architecture(self, lock: Lock, arch: str) -> None:
        from llvmlite import binding

        module = binding.parse_assembly(emit([lock.lock, lock.unlock, lock.lock_outside], TARGETS[arch]).text)
        module.verify()


@pytest.mark.parametrize("lock", [LOCKS["test-and-set"], LOCKS["queued"]], ids=lambda lock: lock.name)
def test_it_goes_on_when_threads_outnumber_cores(lock: Lock) -> None:
    """A strict queue makes some 50,000 acquisitions a second here; these make millions."""
    work, guarded, cpus, threads = worker(lock), Guarded(), CpuBlock(16), 16
    compile_host([work])
    clock = threading.Timer(0.5, lambda: setattr(guarded, "stop", 1))
    clock.start()
    start = time.perf_counter()
    done = on_threads(threads, lambda number: work(cpus.address(number), guarded, word_of(guarded), 1 << 40))
    elapsed = time.perf_counter() - start
    clock.join()
    assert sum(done) == guarded.first == guarded.second
    assert guarded.torn == 0
    assert sum(done) / elapsed > 500_000
    assert all(done)


def test_tickets_are_served_in_the_order_they_were_drawn() -> None:
    lock, guarded, cpus, count = LOCKS["ticket"], Guarded(), CpuBlock(5), 5
    acquire, release = lock.lock, lock.unlock

    @function
    def once(cpu: Ptr[Cpu], guarded: Ptr[Guarded], word: Ptr[u32]) -> u64:
        acquire(cpu, word)
        place = guarded.first
        guarded.first += 1
        release(word)
        return place

    compile_host([once, lock.lock_outside, lock.unlock])
    call: Any = once
    word = word_of(guarded)
    lock.lock_outside(word)
    places: dict[int, int] = {}
    threads = []
    for number in range(count):
        thread = threading.Thread(
            target=lambda number=number: places.update({number: call(cpus.address(number), guarded, word)})
        )
        thread.start()
        threads.append(thread)
        while guarded.word >> 16 != number + 2:
            time.sleep(0.001)
    lock.unlock(word)
    for thread in threads:
        thread.join()
    assert places == {number: number for number in range(count)}


def test_the_head_of_the_queue_gets_in_before_long() -> None:
    """One CPU takes the lock over and over; the others, which have to queue, get their turns all the same."""
    lock, guarded, cpus = LOCKS["queued"], Guarded(), CpuBlock(3)
    work = worker(lock)
    compile_host([work])
    greedy = threading.Thread(target=lambda: work(cpus.address(0), guarded, word_of(guarded), 1 << 40))
    greedy.start()
    done = on_threads(2, lambda number: work(cpus.address(number + 1), guarded, word_of(guarded), 300))
    guarded.stop = 1
    greedy.join()
    assert done == [300, 300]


def test_architectures_have_the_locks_that_linux_gives_them() -> None:
    assert {arch: lock.name for arch, lock in ARCHITECTURES.items()} == {
        "x86_64": "queued",
        "aarch64": "queued",
        "arm": "ticket",
    }
    assert lock_for("riscv64").name == lock_for("something new").name == "test-and-set"


def test_an_uncontended_lock_leaves_its_word_as_it_was() -> None:
    for lock in LOCKS.values():
        word, cpus = ctypes.c_uint32(0), CpuBlock(1)
        for _ in range(3):
            lock.lock(cpus.address(0), word)
            lock.unlock(word)
        assert word.value == 0 or lock.name == "ticket"


def test_test_and_set_becomes_a_few_bpf_instructions() -> None:
    from skep.lang import compile_bpf

    assert len(compile_bpf(LOCKS["test-and-set"].lock).instructions) <= 6
    assert len(compile_bpf(LOCKS["test-and-set"].unlock).instructions) <= 4
