"""The same verdict as the running kernel, on a corpus and on programs made at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import skep
from skep.objects import AttachType, ProgramSpec, ProgramType
from skep.verifier import verify
from skep.verifier.contexts import context_tables
from tests.verifier import programs, random_helpers, random_iterations
from tests.verifier.programs import Case
from tests.verifier.random_programs import deep_program, random_program

CASES = programs.cases()

#: Seeds of programs that were once judged otherwise than by the kernel, or followed further.
ONCE_DIFFERENT = (2242, 2845, 5120, 6842, 7375, 20607, 40356, 61935, 62519, 201948, 3003032)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus_verdicts(case: Case) -> None:
    report = verify(case.spec)
    assert (report.verdict, report.message) == (case.verdict, case.message)


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_agrees_with_the_corpus(case: Case) -> None:
    answer = programs.ask_kernel(case.spec)
    if answer.verdict == "reject" and not answer.message and case.spec.attach_target is not None:
        pytest.skip("the running kernel refuses programs of the type unseen")
    assert (answer.verdict, answer.message) == (case.verdict, case.message)
    assert answer.processed == verify(case.spec).processed


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
@pytest.mark.parametrize("name", ["rate_limiter", "tail_call_parser", "tc_rewrite", "xdp_counter"])
def test_examples_take_as_many_steps_as_in_the_kernel(name: str) -> None:
    for spec in skep.open(f"examples/{name}.bpf.o").programs.values():
        report, answer = verify(spec), programs.ask_kernel(spec)
        assert (report.verdict, report.processed) == (answer.verdict, answer.processed)


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
@pytest.mark.parametrize("made", [random_program, deep_program])
def test_random_programs_get_the_kernels_verdict(made: Callable[[int], ProgramSpec]) -> None:
    same = compared = 0
    for seed in (*range(200), *ONCE_DIFFERENT):
        spec = made(seed)
        answer = programs.ask_kernel(spec)
        if answer.processed > 2_000:
            continue
        report = verify(spec, limit=20_000)
        compared += 1
        same += (report.verdict, report.message) == (answer.verdict, answer.message)
        assert not (report.accepted and answer.verdict == "reject"), (seed, answer.message)
        assert seed not in ONCE_DIFFERENT or report.processed == answer.processed, seed
    assert same >= 0.995 * compared


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
def test_random_calls_of_helpers_are_judged_as_the_kernel_does() -> None:
    for seed in range(1_000):
        spec = random_helpers.random_program(seed)
        answer, report = programs.ask_kernel(spec), verify(spec)
        expected = (answer.verdict, answer.message, answer.processed)
        assert (report.verdict, report.message, report.processed) == expected, seed


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
def test_a_loop_is_not_held_against_a_state_that_was_dropped() -> None:
    spec = random_iterations.random_program(5000371)
    assert verify(spec).processed == programs.ask_kernel(spec).processed


@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
def test_the_corpus_as_programs_of_other_types_is_judged_as_the_kernel_does() -> None:
    types = list(random_helpers.TYPES)
    for number, case in enumerate(CASES):
        if case.spec.attach_target is not None:
            continue
        for type in (types[number % len(types)], types[(number * 7 + 3) % len(types)]):
            spec = replace(case.spec, type=type, attach_type=random_helpers.TYPES[type], sleepable=False)
            answer, report = programs.ask_kernel(spec), verify(spec)
            if answer.processed > 2_000 or (not answer.processed and not answer.message):
                continue
            expected = (answer.verdict, answer.message, answer.processed)
            assert (report.verdict, report.message, report.processed) == expected, (case.name, type)


@pytest.mark.parametrize(
    ("attach", "type"), [(attach, type) for type, attach in context_tables.all_tables()], ids=str
)
@pytest.mark.skipif(programs.kernel_is_there() is not None, reason=str(programs.kernel_is_there()))
def test_contexts_are_those_of_the_kernel(type: ProgramType, attach: AttachType | None) -> None:
    table = context_tables.table_of(type, attach)
    assert table is not None
    for offset in range(0, 240, 4):
        for size, bits in ((4, 32), (8, 64)):
            if offset % size:
                continue
            spec = programs.program(f"r2 = *(u{bits} *)(r1 + {offset})\nr0 = 1\nexit", type, attach_type=attach)
            expected = "accept" if table.permits(offset, size, store=False) else "reject"
            assert programs.ask_kernel(spec).verdict == expected, (offset, size)
