"""The same verdict as the running kernel, on a corpus and on programs made at random."""

from __future__ import annotations

import pytest

import skep
from skep.verifier import verify
from tests.verifier import programs
from tests.verifier.programs import Case

CASES = programs.cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus_verdicts(case: Case) -> None:
    report = verify(case.spec)
    assert (report.verdict, report.message) == (case.verdict, case.message)


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_agrees_with_the_corpus(case: Case) -> None:
    answer = programs.ask_kernel(case.spec)
    assert (answer.verdict, answer.message) == (case.verdict, case.message)


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
@pytest.mark.parametrize("name", ["rate_limiter", "tail_call_parser", "tc_rewrite", "xdp_counter"])
def test_examples_take_as_many_steps_as_in_the_kernel(name: str) -> None:
    for spec in skep.open(f"examples/{name}.bpf.o").programs.values():
        report, answer = verify(spec), programs.ask_kernel(spec)
        assert (report.verdict, report.processed) == (answer.verdict, answer.processed)
