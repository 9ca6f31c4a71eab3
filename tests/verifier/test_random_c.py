"""Random programs in C get the running kernel's verdict and message."""

from __future__ import annotations

import pytest

from skep.verifier import verify
from tests.verifier import c_programs, random_c
from tests.verifier.programs import ask_kernel, kernel_is_there

pytestmark = [
    pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing())),
    pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there())),
]


@pytest.mark.parametrize("seed", range(8))
def test_what_clang_builds_gets_the_kernels_verdict(seed: int) -> None:
    for spec in random_c.programs(seed):
        answer = ask_kernel(spec)
        if answer.processed > 3_000:
            continue
        report = verify(spec, limit=30_000)
        assert (report.verdict, report.message) == (answer.verdict, answer.message), spec.name
