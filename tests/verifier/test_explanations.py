"""Every kind of rejection is explained: by a program that shows it, and the same program mended."""

from __future__ import annotations

import ast
import itertools
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from skep.verifier import verify
from skep.verifier.explaining.explanation import is_explained
from skep.verifier.explaining.messages import FORMS
from tests.verifier import c_programs, explained
from tests.verifier.explained import Case
from tests.verifier.programs import ask_kernel, kernel_is_there

CASES = explained.cases()
ROOT = Path(__file__).parents[2]
PAGE_SCRIPT = ROOT / "docs" / "verdicts_page.py"


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    if found.language == "c" and (reason := c_programs.missing()) is not None:
        pytest.skip(reason)
    return found


def test_the_bad_program_is_rejected_and_explained(case: Case) -> None:
    report = verify(case.spec(case.bad), facts=case.facts)
    assert (report.verdict, report.message) == ("reject", case.message)
    explanation = report.explanation
    assert explanation is not None
    assert all((explanation.category, explanation.problem, explanation.reason, explanation.suggestion))
    assert "{" not in explanation.problem + explanation.reason
    assert explanation.suggestion in report.explain(width=10_000)


def test_the_mended_program_is_accepted(case: Case) -> None:
    report = verify(case.spec(case.good), facts=case.facts)
    assert (report.verdict, report.message) == ("accept", "")


@pytest.mark.skipif(kernel_is_there() is not None, reason=str(kernel_is_there()))
def test_the_kernel_says_the_same(case: Case) -> None:
    if case.of_distribution and not c_programs.has_tables():
        pytest.skip("the kernel has no such tables of programs")
    bad, good = ask_kernel(case.spec(case.bad)), ask_kernel(case.spec(case.good))
    if bad.verdict == "reject" and not bad.message:
        pytest.skip("the running kernel refuses programs of the type unseen")
    assert (bad.verdict, bad.message) == ("reject", case.kernel_message or case.message)
    assert (good.verdict, good.message) == ("accept", "")


def test_at_least_sixty_kinds_are_shown() -> None:
    kinds = {next(row.pattern.pattern for row in FORMS if row.pattern.fullmatch(case.message)) for case in CASES}
    assert len(kinds) >= 60


def test_the_page_says_what_the_programs_show() -> None:
    written = runpy.run_path(str(PAGE_SCRIPT))
    assert written["page"]() == written["PAGE"].read_text(encoding="utf-8"), "run python docs/verdicts_page.py"


def _forms_in_source() -> Iterator[tuple[str, str]]:
    """Each message that the verifier may refuse with: where, and its text with ``{}`` for what is filled in."""
    for file in sorted((ROOT / "src" / "skep" / "verifier").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rejection"):
                continue
            match node.args[0] if node.args else None:
                case ast.Constant(value=str(text)):
                    yield f"{file.name}:{node.lineno}", text
                case ast.JoinedStr(values=parts):
                    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
                    yield f"{file.name}:{node.lineno}", text


#: What may stand in a message where something is filled in.
_FILLINGS = ("7", "name", "(0x0; 0x7)", " read from", "read from", "iter_num", "At program exit")
#: Whole messages, for forms that say too little without what is filled in.
_WHOLE = {
    "{}_unlock without taking a lock": "bpf_spin_unlock without taking a lock",
    "{}_unlock of different lock": "bpf_res_spin_unlock of different lock",
    "{}_unlock cannot be out of order": "bpf_res_spin_unlock cannot be out of order",
    "{} has no valid {}_lock": "map 'locks' has no valid bpf_spin_lock",
    "sleepable helper bpf_{}#{} in {} region": "sleepable helper bpf_copy_from_user#148 in rcu_read_lock region",
    "kernel func {} is sleepable within {} region": "kernel func bpf_x is sleepable within rcu_read_lock region",
    "{} cannot be used inside {}-ed region": "bpf_throw cannot be used inside bpf_rcu_read_lock-ed region",
    "{} pointer in R{} map_uid={} doesn't match map pointer in R{} map_uid={}": (
        "timer pointer in R1 map_uid=1 doesn't match map pointer in R2 map_uid=2"
    ),
    "variable ? access var_off=(0x0; 0xffffffffffffffff) disallowed": "variable ctx access var_off=(0x0; 0x4) disallowed",  # noqa: E501
    "{} not found at offset={}": "bpf_list_node not found at offset=8",
    "{} map forbidden, value_size={} off={} size={}": "write into map forbidden, value_size=4 off=0 size=4",
    "{} doesn't point to an irq flag on stack": "arg#0 doesn't point to an irq flag on stack",
    "invalid variable-offset{} stack R{} var_off={} off={} size={}": (
        "invalid variable-offset read from stack R2 var_off=(0x0; 0xf) off=-8 size=1"
    ),
    "invalid{} stack R{} off={} size={}": "invalid write to stack R10 off=-520 size=8",
    "invalid{} read from stack R{} {}+{} size {}": "invalid read from stack R1 off -16+0 size 8",
}


def _is_explained_somehow(form: str) -> bool:
    """Whether the message has an explanation of its own, whatever is filled in."""
    if form in _WHOLE:
        return is_explained(_WHOLE[form])
    count = form.count("{}")
    fillings = itertools.product(_FILLINGS, repeat=count) if count < 4 else [("7",) * count, ("name",) * count]
    return any(is_explained(form.replace("{}", "%s") % filling) for filling in fillings)


def test_messages_of_the_verifier_have_an_explanation_of_their_own() -> None:
    forms = [
        (place, form)
        for place, form in _forms_in_source()
        if not form.startswith("verifier bug: ") and form.strip("{} R")
    ]
    missing = [f"{place}: {form}" for place, form in forms if not _is_explained_somehow(form)]
    assert not missing
