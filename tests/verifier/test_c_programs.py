"""Verdict and message on the programs in C are what they say themselves, and what the running kernel says."""

from __future__ import annotations

import pytest

from skep.engines.kernel.running import RUNNING_KERNEL
from skep.objects.fitting import fit
from skep.verifier import verify
from tests.verifier import c_programs
from tests.verifier.c_programs import Said, expected, said_by_kernel, said_by_skep, said_of_distribution
from tests.verifier.programs import ask_kernel, kernel_is_there

pytestmark = pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing()))


@pytest.mark.parametrize("source", c_programs.names())
def test_skep_says_what_the_source_says(source: str) -> None:
    specs = c_programs.programs(source)
    if kernel_is_there() is not None and any(spec.core_relocations for spec in specs.values()):
        pytest.skip("needs the running kernel's types")
    said = {name: said_by_skep(spec) for name, spec in specs.items()}
    assert said == {name: expected(spec) for name, spec in specs.items()}


@pytest.mark.parametrize("source", c_programs.distribution_names())
def test_skep_says_what_the_source_says_of_a_distribution(source: str) -> None:
    specs = c_programs.programs(source)
    said = {name: said_of_distribution(spec) for name, spec in specs.items()}
    assert said == {name: expected(spec) for name, spec in specs.items()}


@pytest.mark.skipif(
    kernel_is_there() is not None or not c_programs.has_tables(), reason="the kernel has no such tables of programs"
)
@pytest.mark.parametrize("source", c_programs.distribution_names())
def test_a_kernel_of_a_distribution_says_what_the_source_says(source: str) -> None:
    specs = c_programs.programs(source)
    # What such a kernel refuses without a word it was asked to: it takes programs of the type.
    said = {name: said_by_kernel(spec) or Said("reject", "") for name, spec in specs.items()}
    assert said == {name: expected(spec) for name, spec in specs.items()}


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
@pytest.mark.parametrize("source", c_programs.names())
def test_the_kernel_says_what_the_source_says(source: str) -> None:
    specs = c_programs.programs(source)
    said = {name: answer for name, spec in specs.items() if (answer := said_by_kernel(spec)) is not None}
    assert said == {name: expected(specs[name]) for name in said}


#: What Linux calls its own mistake it comes upon later than skep, which knows beforehand.
_OWN_MISTAKE = "verifier bug"


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
@pytest.mark.parametrize("source", c_programs.names())
def test_as_many_steps_are_taken_as_in_the_kernel(source: str) -> None:
    taken, expected_of = {}, {}
    for name, spec in c_programs.programs(source).items():
        fitted = fit(spec, RUNNING_KERNEL).program
        answer = ask_kernel(fitted)
        if answer.processed and not answer.message.startswith(_OWN_MISTAKE):
            expected_of[name] = answer.processed
            taken[name] = verify(fitted).processed
    assert taken == expected_of
