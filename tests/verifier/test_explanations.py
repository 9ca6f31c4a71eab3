"""Every kind of rejection is explained: by a program that shows it, and the same program mended."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from skep.verifier import verify
from skep.verifier.messages import FORMS
from tests.verifier import c_programs, explained
from tests.verifier.explained import Case
from tests.verifier.programs import ask_kernel, kernel_is_there

CASES = explained.cases()
PAGE_SCRIPT = Path(__file__).parents[2] / "docs" / "verdicts_page.py"


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    if found.language == "c" and (reason := c_programs.missing()) is not None:
        pytest.skip(reason)
    return found


def test_the_bad_program_is_rejected_and_explained(case: Case) -> None:
    report = verify(case.spec(case.bad))
    assert (report.verdict, report.message) == ("reject", case.message)
    explanation = report.explanation
    assert explanation is not None
    assert all((explanation.category, explanation.problem, explanation.reason, explanation.suggestion))
    assert "{" not in explanation.problem + explanation.reason
    assert explanation.suggestion in report.explain(width=10_000)


def test_the_mended_program_is_accepted(case: Case) -> None:
    report = verify(case.spec(case.good))
    assert (report.verdict, report.message) == ("accept", "")


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
def test_the_kernel_says_the_same(case: Case) -> None:
    bad, good = ask_kernel(case.spec(case.bad)), ask_kernel(case.spec(case.good))
    assert (bad.verdict, bad.message) == ("reject", case.kernel_message or case.message)
    assert (good.verdict, good.message) == ("accept", "")


def test_at_least_sixty_kinds_are_shown() -> None:
    kinds = {next(row.pattern.pattern for row in FORMS if row.pattern.fullmatch(case.message)) for case in CASES}
    assert len(kinds) >= 60


def test_the_page_says_what_the_programs_show() -> None:
    written = runpy.run_path(str(PAGE_SCRIPT))
    assert written["page"]() == written["PAGE"].read_text(encoding="utf-8"), "run python docs/verdicts_page.py"
