"""Programs of the size that people ship get the verdict, and the message, that Linux gives them."""

from __future__ import annotations

import pytest

from skep.engines.kernel.system_types import kernel_btf
from skep.errors import KernelError
from skep.verifier import verify
from tests.verifier.programs import kernel_is_there
from tests.verifier.shipped import UNKNOWN, ask_kernel, objects, programs, record


@pytest.fixture(scope="module", autouse=True)
def _types() -> None:
    try:
        kernel_btf()
    except KernelError as error:
        pytest.skip(f"the programs cannot be fitted to a kernel: {error}")


@pytest.mark.parametrize("file", objects())
def test_shipped_programs_get_the_verdicts_of_linux(file: str) -> None:
    differ, missing = [], []
    for program in programs(file):
        known = record()[file, program.name]
        report = verify(program)
        if report.verdict == "unsupported":
            missing.append(f"{program.name}: {report.message}")
        elif known.verdict != UNKNOWN and (report.verdict, report.message) != (known.verdict, known.message):
            differ.append(f"{program.name}: {report.verdict} {report.message!r}, Linux {known}")
    assert not differ
    if missing:
        pytest.xfail("; ".join(missing))


@pytest.mark.skipif(kernel_is_there() is not None, reason="bpf(2) cannot be used here")
def test_the_record_is_what_the_running_kernel_says() -> None:
    for file in objects():
        for program in programs(file):
            known, said = record()[file, program.name], ask_kernel(program)
            if UNKNOWN not in (known.verdict, said.verdict):
                assert (file, program.name, said) == (file, program.name, known)
