"""Packet helpers give the answers that a kernel gave when they were recorded; needs no kernel."""

from __future__ import annotations

import pytest

from tests.programs import kernel_oracle as kernel
from tests.stdlib import recorded
from tests.stdlib.packet_calls import here, in_kernel

CASES = list(recorded.cases())


@pytest.mark.parametrize("helper", sorted({case.calls[-1].helper for case in CASES}))
def test_the_answers_are_those_that_the_kernel_gave(helper: str) -> None:
    asked = [case for case in CASES if case.calls[-1].helper == helper]
    assert len(asked) > 3
    for case in asked:
        assert here(case.program, case.data, case.calls) == case.result, case


@pytest.mark.skipif(not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18")
def test_the_running_kernel_gives_them_still() -> None:
    for case in CASES:
        assert in_kernel(case.program, case.data, case.calls) == case.result, case
