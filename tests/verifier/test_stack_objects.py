"""Verdict, message and effort on random programs around dynptrs, iterators and sections are those of the kernel."""

from __future__ import annotations

import pytest

from skep.verifier import verify
from tests.verifier import c_programs, random_c_objects, random_iterations
from tests.verifier.programs import ask_kernel, kernel_is_there
from tests.verifier.random_stack_objects import random_program

#: Seeds of programs that were once followed less far than by the kernel.
ONCE_SHORTER = (3002127,)
LOOPS_ONCE_SHORTER = (3000998, 3003546)


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
@pytest.mark.parametrize("kfuncs", [False, True], ids=["helpers", "kfuncs"])
def test_random_programs_with_objects_on_the_stack(kfuncs: bool) -> None:
    counted = 0
    for seed in (*range(80), *ONCE_SHORTER):
        spec = random_program(seed, kfuncs=kfuncs)
        answer = ask_kernel(spec)
        if answer.processed > 2_000:
            continue
        report = verify(spec, limit=20_000)
        assert (report.verdict, report.message) == (answer.verdict, answer.message), seed
        if report.accepted:
            counted += 1
            assert report.processed == answer.processed, seed
    assert counted > 30


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
def test_random_loops_over_iterators() -> None:
    processed = expected = 0
    for seed in (*range(80), *LOOPS_ONCE_SHORTER):
        spec = random_iterations.random_program(seed)
        answer = ask_kernel(spec)
        if answer.processed > 2_000:
            continue
        report = verify(spec, limit=20_000)
        assert (report.verdict, report.message) == (answer.verdict, answer.message), seed
        assert seed not in LOOPS_ONCE_SHORTER or report.processed == answer.processed, seed
        if report.accepted:
            processed += report.processed
            expected += answer.processed
    assert 0.99 * expected <= processed <= 1.01 * expected


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
@pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing()))
@pytest.mark.parametrize("seed", range(6))
def test_random_programs_in_c_that_share_objects(seed: int) -> None:
    for spec in random_c_objects.programs(seed):
        answer = ask_kernel(spec)
        # Some of these programs find Linux's own mistakes.
        if answer.processed > 2_000 or answer.message.startswith("verifier bug"):
            continue
        report = verify(spec, limit=20_000)
        assert (report.verdict, report.message) == (answer.verdict, answer.message), spec.name
