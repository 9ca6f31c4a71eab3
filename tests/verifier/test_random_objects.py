"""The kernel's verdict on random programs that allocate, keep, list and lock objects."""

from __future__ import annotations

from pathlib import Path

import pytest

import skep
from tests.verifier import c_programs
from tests.verifier.c_programs import said_by_kernel, said_by_skep
from tests.verifier.programs import kernel_is_there
from tests.verifier.random_objects import random_source

_WHY_NOT = c_programs.missing() or kernel_is_there()


@pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT))
def test_random_programs_get_the_kernels_verdict(tmp_path: Path) -> None:
    target = tmp_path / "objects.o"
    c_programs.compile_to(target, random_source(7, 80), "-O2", "v4")
    specs = skep.open(target).programs
    said = {name: said_by_skep(spec) for name, spec in specs.items()}
    assert said == {name: said_by_kernel(spec) for name, spec in specs.items()}
    # Neither rule breakers nor the others are few.
    accepted = sum(one.verdict == "accept" for one in said.values())
    assert 20 <= accepted <= 60
