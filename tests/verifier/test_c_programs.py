"""Verdict and message on the programs in C are what they say themselves, and what the running kernel says."""

from __future__ import annotations

import pytest

from tests.verifier import c_programs
from tests.verifier.c_programs import expected, said_by_kernel, said_by_skep
from tests.verifier.programs import kernel_is_there

pytestmark = pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing()))


@pytest.mark.parametrize("source", c_programs.names())
def test_skep_says_what_the_source_says(source: str) -> None:
    specs = c_programs.programs(source)
    if kernel_is_there() is not None and any(spec.core_relocations for spec in specs.values()):
        pytest.skip("needs the running kernel's types")
    said = {name: said_by_skep(spec) for name, spec in specs.items()}
    assert said == {name: expected(spec) for name, spec in specs.items()}


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
@pytest.mark.parametrize("source", c_programs.names())
def test_the_kernel_says_what_the_source_says(source: str) -> None:
    specs = c_programs.programs(source)
    said = {name: answer for name, spec in specs.items() if (answer := said_by_kernel(spec)) is not None}
    assert said == {name: expected(specs[name]) for name in said}
