"""Verdicts on random programs, whole and damaged: compared with the kernel's, and kept where they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skep.fuzz import session
from skep.fuzz.batch import Bench, Tally, general
from skep.fuzz.case import read_case
from skep.fuzz.damage import damaged
from skep.fuzz.generate import program
from skep.objects import ProgramSpec
from skep.verifier import Report
from tests.cli.command_line import Skep
from tests.fuzz.conftest import needs_kernel


def test_damage_is_the_same_each_time_and_is_small() -> None:
    for seed in range(50):
        spec, whole = damaged(seed), program(seed)
        assert spec.instructions == damaged(seed).instructions
        assert abs(len(spec.instructions) - len(whole.instructions)) <= 2
    assert any(damaged(seed).instructions != program(seed).instructions for seed in range(5))


@needs_kernel
def test_verdicts_on_random_programs_are_compared() -> None:
    tally = Tally()
    with Bench(kernel=True) as bench:
        disputes = list(bench.judge(range(10), tally))
    assert tally.judged >= 18
    assert tally.disputed == len(disputes) <= 2
    assert tally.undecided.total() <= 2


@needs_kernel
def test_a_wrong_verdict_is_kept_made_small_and_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, skep: Skep
) -> None:
    def verify(spec: ProgramSpec, **_: Any) -> Report:
        return Report(spec.name, "accept")

    monkeypatch.setattr("skep.verifier.verify", verify)
    with Bench(kernel=True) as bench:
        dispute = next(one for one in bench.judge(range(100), Tally()) if "!read_ok" in str(one.verdicts["kernel"]))
    case = session._disputed(dispute, shrink=True)
    assert len(case.spec.instructions) <= 6
    path = session._write(session._kept(case), tmp_path)
    assert path.name == f"{dispute.seed:x}-verdict.txt"
    assert "# skep says accept\n# kernel says reject: R" in path.read_text()
    assert read_case(path.read_text()).spec.instructions == case.spec.instructions
    ended = skep("fuzz", "--replay", path, "--json")
    assert ended.status == 1
    assert json.loads(ended.output)["same_verdict"] is False


def test_messages_are_counted_without_their_numbers() -> None:
    assert general("R3 invalid mem access 'scalar'") == general("R7 invalid mem access 'scalar'")
    assert general("invalid access to map value, value_size=16 off=8 size=16") != general("R1 !read_ok")
