"""What each spin lock costs and how it bears company: ``python benchmarks/locks.py``.

Nanoseconds for taking and giving back a lock that nobody else wants, the inside of the loop subtracted; then, with
more and more threads, acquisitions a second in millions and the smallest thread's share of a fair one.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

from skep.lang import Function, Ptr, compile_host, function, struct, u32, u64
from skep.locks import LOCKS, Lock
from skep.memory import Cpu, CpuBlock

_LOOPS = 200_000
_ROUNDS = 15
_SECONDS = 0.3
_THREADS = (2, 4, 16)


@struct(align=128)
class Shared:
    """A lock on a cache line of its own, and what it guards on another."""

    word: u32
    padding: u64
    counter: u64


@struct(align=128)
class Control:
    """Whether the workers are to stop; read by all, written once."""

    stop: u32


@function
def no_lock(cpu: Ptr[Cpu], shared: Ptr[Shared], word: Ptr[u32], control: Ptr[Control], rounds: u64) -> u64:
    """The loop alone."""
    done = u64(0)
    while done < rounds and control.stop == 0:
        shared.counter += done
        done += 1
    return done


def loop(lock: Lock) -> Function[..., Any]:
    """The loop around a lock."""
    acquire, release = lock.lock, lock.unlock

    @function
    def work(cpu: Ptr[Cpu], shared: Ptr[Shared], word: Ptr[u32], control: Ptr[Control], rounds: u64) -> u64:
        done = u64(0)
        while done < rounds and control.stop == 0:
            acquire(cpu, word)
            shared.counter += done
            release(word)
            done += 1
        return done

    return work


def uncontended(work: Function[..., Any]) -> float:
    """Nanoseconds a round, the best of many short samples."""
    cpus, shared, control = CpuBlock(1), Shared(), Control()
    word = ctypes.c_uint32.from_address(shared._skep_address)  # type: ignore[attr-defined]
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter_ns()
        work(cpus.address(0), shared, word, control, _LOOPS)
        best = min(best, (time.perf_counter_ns() - start) / _LOOPS)
    return best


def contended(work: Function[..., Any], count: int) -> tuple[float, float]:
    """Millions of acquisitions a second of all threads, and the least share that one had of a fair one."""
    cpus, shared, control = CpuBlock(count), Shared(), Control()
    word = ctypes.c_uint32.from_address(shared._skep_address)  # type: ignore[attr-defined]
    done = [0] * count

    def run(number: int) -> None:
        done[number] = work(cpus.address(number), shared, word, control, 1 << 62)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(_SECONDS)
    control.stop = 1
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    return sum(done) / elapsed / 1e6, min(done) * count / max(sum(done), 1)


def main() -> None:
    """Print one line a lock."""
    loops = {lock.name: loop(lock) for lock in LOCKS.values()}
    compile_host([no_lock, *loops.values()])
    empty = uncontended(no_lock)
    heads = "".join(f"{f'{count} threads':>18}" for count in _THREADS)
    print(f"{'lock':<14}{'alone ns':>10}{heads}   (millions a second, least share)")
    for name, work in loops.items():
        cells = [contended(work, count) for count in _THREADS]
        shown = "".join(f"{f'{rate:.2f} ({share:.0%})':>18}" for rate, share in cells)
        print(f"{name:<14}{uncontended(work) - empty:>10.2f}{shown}")


if __name__ == "__main__":
    main()
