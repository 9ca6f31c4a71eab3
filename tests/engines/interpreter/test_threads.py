"""One loaded program runs on several threads at once, each with its own stack; atomic instructions are atomic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from skep.memory import RegionKind
from tests.engines.interpreter.running import loaded

COUNT = """
    r3 = 0
    l:
    r2 = 1
    lock *(u64 *)(r1 + 0) += r2
    *(u64 *)(r10 - 8) = r3
    r4 = *(u64 *)(r10 - 8)
    if r4 != r3 goto bad
    r3 += 1
    if r3 < 2000 goto l
    r0 = 0
    exit
    bad:
    r0 = 1
    exit
"""


def test_threads_share_memory_but_no_stack() -> None:
    with loaded(COUNT) as run:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: run.run(), range(12))) == [0] * 12
        assert int.from_bytes(run.memory.read(0, 8), "little") == 12 * 2000
        regions = run.program.code.binding.space.regions
        assert 1 <= sum(region.kind is RegionKind.STACK for region in regions) <= 12
