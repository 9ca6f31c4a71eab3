"""The verifier's modules compiled to machine code give the answers that they give as they are.

Set ``SKEP_COMPILED_PYTHON`` to the interpreter of an environment in which skep was installed with ``SKEP_COMPILE=1``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_COMPILED = os.environ.get("SKEP_COMPILED_PYTHON")

_ANSWERS = """
import json, re, sys
sys.path.append({root!r})
from skep.verifier import verify
from skep.verifier.paths import exploration
from tests.verifier import programs
from tests.verifier.random_programs import random_program
specs = [case.spec for case in programs.cases()] + [random_program(seed) for seed in range(600)]
reports = [verify(spec, limit=20_000) for spec in specs]
answers = [(one.verdict, one.message, one.processed, one.total_states, one.stack_depth) for one in reports]
logs = [verify(spec, limit=20_000, log_level=2).log for spec in specs[::10]]
answers += [re.sub("0x[0-9a-f]+|verification time .*", "", log) for log in logs]
json.dump([exploration.__file__, answers], sys.stdout)
"""


def _answers(python: str, plain: bool) -> tuple[str, list[object]]:
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if plain:
        environment["PYTHONPATH"] = str(_ROOT / "src")
    run = subprocess.run(
        [python, "-c", _ANSWERS.format(root=str(_ROOT))], env=environment, capture_output=True, check=True, text=True
    )
    file, answers = json.loads(run.stdout)
    return file, answers


@pytest.mark.skipif(_COMPILED is None, reason="SKEP_COMPILED_PYTHON names no environment with compiled modules")
def test_compiled_modules_give_the_same_answers() -> None:
    assert _COMPILED is not None
    file, compiled = _answers(_COMPILED, plain=False)
    assert file.endswith(".so")
    file, plain = _answers(sys.executable, plain=True)
    assert file.endswith(".py")
    assert compiled == plain
