"""Kernel versions as people write them, and what is said to those that nothing is known of."""

from __future__ import annotations

import pytest

from skep.errors import RequestError
from skep.verifier import KERNEL
from skep.versions import LATEST, NEWEST, OLDEST, KernelVersion


@pytest.mark.parametrize(
    "text", ["5.15", "v5.15", "5.15.3", " 5.15 ", "5.15.0-91-generic", "5.15-rc2", "5.15.0+", "5.15.167.4-WSL2"]
)
def test_a_release_is_read_however_it_is_written(text: str) -> None:
    assert KernelVersion.parse(text) == KernelVersion(5, 15)
    assert str(KernelVersion.parse(text)) == "5.15"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is no kernel version"),
        ("five", "'five' is no kernel version: write it as 5.15, or as `uname -r` does"),
        ("5", "'5' is no kernel version"),
        ("5.15x", "'5.15x' is no kernel version"),
        ("-5.15", "'-5.15' is no kernel version"),
        ("4.4", "nothing is known of Linux 4.4: known are 4.9 to 7.3"),
        ("7.4", "nothing is known of Linux 7.4: known are 4.9 to 7.3"),
        ("8.0", "nothing is known of Linux 8.0: known are 4.9 to 7.3"),
        ("6.20", "there is no Linux 6.20: 6.19 was followed by 7.0"),
        ("5.20", "there is no Linux 5.20: 5.19 was followed by 6.0"),
        ("4.21", "there is no Linux 4.21: 4.20 was followed by 5.0"),
        ("4.18.0-513.el8.x86_64", "a distributor's kernel with the BPF of later releases than its number says"),
    ],
)
def test_what_is_no_known_version_is_one_clear_line(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem.replace("(", r"\(").replace("?", r"\?")) as refused:
        KernelVersion.parse(text)
    assert "\n" not in str(refused.value)


def test_versions_are_ordered_as_they_came_out() -> None:
    written = ["4.9", "4.10", "4.20", "5.0", "5.9", "5.10", "6.0", "6.2", "6.18", "6.19", "7.0"]
    assert sorted(map(KernelVersion.parse, reversed(written))) == [KernelVersion.of(text) for text in written]


def test_the_newest_known_version_is_the_one_whose_rules_are_applied() -> None:
    assert str(NEWEST) == KERNEL
    assert OLDEST < NEWEST < LATEST
