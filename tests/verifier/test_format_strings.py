"""Formats of bpf_snprintf, as Linux 6.18 took or refused them."""

from __future__ import annotations

import pytest

from skep.verifier.calls.format_strings import conversions

_TAKEN = {
    "": 0,
    "abc": 0,
    "a\tb\n": 0,
    "%%": 0,
    "%% %d": 1,
    "%d %i %u %x %X": 5,
    "%ld %lld %llx": 3,
    "%5d%-5d%+d% d%00005d": 5,
    "%c%5c%s%10s": 4,
    "%p": 1,
    "%p!%p ": 2,
    "%px%pK%pS%ps%pB": 5,
    "%pi4%pI6": 2,
    "%pks%pus%5pks": 3,
}


@pytest.mark.parametrize("text", _TAKEN)
def test_a_format_takes_an_argument_for_each_conversion(text: str) -> None:
    assert conversions(text.encode()) == _TAKEN[text]


_REFUSED = ["%", "%5", "%lllu", "%hd", "%.3s", "%*d", "%n", "%o", "%f", "%lc", "%ls", "%lp", "%#x", "%l", "%pi5"]
_REFUSED += ["%pI", "%pk", "%pq", "%ph", "%pM", "%zu", "%d%", "\x01"]


@pytest.mark.parametrize("text", _REFUSED)
def test_other_formats_are_wrong(text: str) -> None:
    assert conversions(text.encode()) is None
