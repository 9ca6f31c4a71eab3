"""The running kernel runs what was read from an object: calls, globals, maps and their first members are in place."""

from __future__ import annotations

import pytest

from skep.engines.kernel import Kernel
from skep.errors import KernelError
from skep.objects import with_global
from tests.objects.samples import sample

PACKET = bytes(64)


@pytest.fixture(autouse=True, scope="module")
def _bpf() -> None:
    try:
        Kernel().load(sample("functions")["plain"]).close()
    except KernelError as error:
        pytest.skip(f"bpf(2) cannot be used here: {error}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain", 2), ("calls_middle", 1 ^ 22), ("calls_back", (3 * 45 + 10 + (4 ^ 25) + 5) & 0xFF)],
)
def test_linked_subprograms_compute_what_the_source_says(name: str, expected: int) -> None:
    with Kernel().load(with_global(sample("functions"), "calls", 100)[name]) as loaded:
        assert loaded.run(PACKET).retval == expected


def test_globals_of_all_sections_have_their_values() -> None:
    spec = sample("data")
    own = (41 + 1) + 2 + 0x1234 + 1 + 10 + 1 + 99 - 3 + 1 + 7 + 3 + 11
    with Kernel().load(spec["sum"]) as loaded:
        assert loaded.run(PACKET).retval == own
    changed = with_global(with_global(spec, "settings.limit", 100), "table", [1001])
    with Kernel().load(changed["sum"]) as loaded:
        assert loaded.run(PACKET).retval == own + 1 + 1000


def test_a_program_array_is_filled_with_the_programs_it_names() -> None:
    spec = sample("maps")
    with Kernel().load(spec["stage_one"], programs=spec.programs) as loaded:
        assert loaded.run(PACKET).retval == 1
