"""What the tests of fuzzing and of comparisons share."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from skep.engines import Binding
from skep.engines.jit import Jit, JitLoaded
from skep.isa import BY_NAME, Instruction
from skep.objects import ProgramSpec
from tests.cli.command_line import Skep, make_skep


@pytest.fixture
def skep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Skep:
    """Runs ``skep`` with arguments in this process."""
    return make_skep(monkeypatch, capsys)


@pytest.fixture
def wrong_jit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JIT that shifts right without the sign where it should keep it."""
    right, wrong = BY_NAME["arsh64_imm"].opcode, BY_NAME["rsh64_imm"].opcode
    true = Jit.load_many

    def changed(one: Instruction) -> Instruction:
        return replace(one, opcode=wrong) if one.opcode == right else one

    def load_many(self: Jit, specs: Sequence[ProgramSpec], bindings: Sequence[Binding]) -> list[JitLoaded]:
        damaged = [replace(one, instructions=tuple(map(changed, one.instructions))) for one in specs]
        return true(self, damaged, bindings)

    monkeypatch.setattr(Jit, "load_many", load_many)


def has_kernel() -> bool:
    """Whether this process may load programs into the kernel."""
    if not sys.platform.startswith("linux") or not hasattr(os, "sched_setaffinity"):
        return False
    from skep.engines.kernel import missing_right
    from skep.objects import ProgramType

    return missing_right(ProgramType.XDP) is None


needs_kernel = pytest.mark.skipif(not has_kernel(), reason="bpf(2) cannot be used here")
