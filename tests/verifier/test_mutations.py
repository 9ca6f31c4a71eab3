"""The same verdict as the running kernel on programs in C that were changed at random."""

from __future__ import annotations

import pytest

from skep.engines.kernel.running import RUNNING_KERNEL
from skep.objects.fitting import fit
from skep.verifier import verify
from tests.verifier import c_programs
from tests.verifier.mutations import mutated
from tests.verifier.programs import ask_kernel, kernel_is_there

pytestmark = [
    pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing())),
    pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there())),
]

#: Programs with much to go wrong, and how often each is changed.
_SOURCES = ("callbacks", "global_functions", "helper_objects", "exceptions", "arenas")
_ROUNDS = 2
#: What Linux calls its own mistake is nothing to agree with.
_OWN_MISTAKE = "verifier bug"
_LONG = 2_000


@pytest.mark.parametrize("source", _SOURCES)
def test_changed_programs_get_the_kernels_verdict(source: str) -> None:
    same = compared = 0
    for index, spec in enumerate(c_programs.programs(source).values()):
        fitted = fit(spec, RUNNING_KERNEL).program
        for round in range(_ROUNDS):
            changed = mutated(fitted, _ROUNDS * index + round)
            answer = ask_kernel(changed)
            if answer.processed > _LONG or answer.message.startswith(_OWN_MISTAKE):
                continue
            report = verify(changed, limit=10 * _LONG)
            compared += 1
            same += report.verdict == answer.verdict
            assert not (report.accepted and answer.verdict == "reject"), (spec.name, round, answer.message)
    assert same >= 0.99 * compared
