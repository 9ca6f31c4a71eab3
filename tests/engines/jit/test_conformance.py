"""The public bpf_conformance files, where the environment names the folder (SKEP_CONFORMANCE)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skep.engines.conformance import cases, run_case
from skep.engines.jit import Jit


def test_conformance_files() -> None:
    folder = os.environ.get("SKEP_CONFORMANCE")
    if not folder:
        pytest.skip("SKEP_CONFORMANCE names no folder with bpf_conformance tests")
    engine = Jit(cache=None, level=1)
    outcomes = [run_case(case, engine) for case in cases([Path(folder)])]
    assert len(outcomes) >= 313
    assert [outcome for outcome in outcomes if not outcome.passed] == []
