"""Verdicts for other kernels are held against what these kernels said themselves (``measured.tsv``)."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from skep.objects import ProgramSpec
from skep.verifier import Report, verify
from tests.versions.measure import ACCEPTED, programs, record

OLDER = ("6.1", "6.12", "6.16", "6.17")
NEWER = ("6.19", "7.2")

#: What is accepted here and was refused there, all of it.
WRONGLY_ACCEPTED = {
    "6.16": {"corpus/comparisons: bounds meet above zero", "corpus/comparisons: bounds meet at the ends"},
}
#: Followed further than this, programs take the tests too long.
_LONGEST = 20_000


@cache
def specs() -> dict[str, ProgramSpec]:
    return dict(programs())


@cache
def verdicts(version: str) -> dict[str, tuple[Report, str]]:
    """The report on each program of the record that is still the same, and what the kernel said."""
    here = specs()
    return {
        row.name: (verify(here[row.name], kernel=version, limit=_LONGEST), row.said[version])
        for row in record()
        if version in row.said and row.name in here
    }


def test_the_record_is_of_the_programs_that_there_are() -> None:
    names = {row.name for row in record()}
    assert len(names & specs().keys()) > 0.95 * len(names)


@pytest.mark.parametrize("version", OLDER)
def test_what_is_accepted_for_an_older_kernel_it_accepts(version: str) -> None:
    wrong = {name for name, (report, said) in verdicts(version).items() if report.accepted and said != ACCEPTED}
    assert wrong == WRONGLY_ACCEPTED.get(version, set())


@pytest.mark.parametrize("version", OLDER)
def test_most_that_an_older_kernel_accepts_is_accepted_and_the_rest_is_left_open(version: str) -> None:
    said = Counter(report.verdict for report, said in verdicts(version).values() if said == ACCEPTED)
    total = said.total()
    assert said["accept"] >= {"6.1": 0.6}.get(version, 0.75) * total, said
    assert said["reject"] <= {"6.1": 0.025}.get(version, 0.01) * total, said


@pytest.mark.parametrize("version", OLDER)
def test_most_refusals_are_told_in_the_words_of_that_kernel(version: str) -> None:
    refused = [(report, said) for report, said in verdicts(version).values() if said != ACCEPTED]
    rejected = [(report, said) for report, said in refused if report.verdict == "reject"]
    assert len(rejected) >= {"6.1": 0.8}.get(version, 0.9) * len(refused)
    same = sum(report.message == said for report, said in rejected)
    assert same >= {"6.1": 0.6, "6.12": 0.75}.get(version, 0.9) * len(rejected), (same, len(rejected))


@pytest.mark.parametrize("version", NEWER)
def test_what_6_18_says_holds_with_few_exceptions_for_newer_kernels(version: str) -> None:
    told = [(report, said) for report, said in verdicts(version).values() if report.verdict != "unsupported"]
    for verdict, least in (("accept", 0.985), ("reject", 0.96)):
        held = [(said == ACCEPTED) == (verdict == "accept") for report, said in told if report.verdict == verdict]
        assert sum(held) >= least * len(held), (verdict, sum(held), len(held))
