"""Random programs: valid ones do what the table says, soup does no harm."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings

from skep.engines.interpreter import code
from skep.errors import SkepError
from skep.isa import Instructions
from tests.engines.evaluator import evaluate
from tests.engines.interpreter.running import loaded
from tests.strategies import RandomProgram, programs, soups

relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))

#: How often a block runs before it is compiled: at once, soon, never.
HOT = (0, 2, 1 << 60)


@settings(relaxed, max_examples=150)
@given(program=programs())
def test_random_programs_do_what_the_table_says(program: RandomProgram) -> None:
    expected = evaluate(program)
    for hot in HOT:
        with pytest.MonkeyPatch.context() as patch, loaded(program.instructions, program.memory) as run:
            patch.setattr(code, "HOT", hot)
            assert (run.run(), run.memory.read()) == expected


@settings(relaxed, max_examples=50)
@given(program=programs())
def test_stepping_and_running_agree(program: RandomProgram) -> None:
    with loaded(program.instructions, program.memory) as run:
        whole = run.start()
        expected = whole.run(), whole.left, run.memory.read()
        whole.close()
        run.memory.write(0, program.memory)
        with run.start() as execution:
            # Stepping may change to running at any point.
            for _ in range(20):
                if execution.pc is not None:
                    execution.step()
            assert (execution.run(), execution.left, run.memory.read()) == expected


@settings(relaxed, max_examples=500)
@given(slots=soups)
def test_soup_ends_in_a_result_or_an_error(slots: Instructions) -> None:
    for hot in HOT:
        with pytest.MonkeyPatch.context() as patch, loaded(slots, budget=500) as run:
            patch.setattr(code, "HOT", hot)
            with suppress(SkepError):
                assert 0 <= run.run() < 1 << 64
