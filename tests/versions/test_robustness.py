"""Whatever a program is made of, what it needs is found: every object of the tests, and instructions at random."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

import skep
from skep.isa import Instruction
from skep.objects import ProgramType
from skep.versions import NEWEST, OLDEST, KernelVersion, needs_of
from skep.versions.strictness import stricter
from tests.verifier.programs import program

ROOT = Path(__file__).parents[2]
OBJECTS = sorted([*ROOT.glob("tests/data/*/*.bpf.o"), *ROOT.glob("examples/*.bpf.o")])


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.name)
def test_every_object_has_needs_that_the_newest_kernel_meets(path: Path) -> None:
    for one in skep.open(str(path)).programs.values():
        needs = needs_of(one)
        assert OLDEST <= needs.lowest <= NEWEST
        assert needs.missing(NEWEST) == needs.doubtful(NEWEST) == ()
        assert needs.missing(needs.lowest) == ()
        newest_first = [need.surely for need in needs.all]
        assert newest_first == sorted(newest_first, reverse=True)
        for need in needs.all:
            assert need.title
            assert need.complaint
            assert need.as_json()["since"] == str(need.since)
        list(stricter(one, OLDEST))


@pytest.mark.parametrize("seed", range(20))
def test_instructions_at_random_do_no_harm(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        instructions = tuple(
            Instruction(
                chance.randrange(256),
                chance.randrange(16),
                chance.randrange(16),
                chance.choice((-3, -1, 0, 1, 8, 16, chance.randrange(-(1 << 15), 1 << 15))),
                chance.choice((-1, 0, 1, 12, 211, chance.randrange(-(1 << 31), 1 << 31))),
            )
            for _ in range(chance.randrange(0, 20))
        )
        spec = replace(program("exit"), instructions=instructions, type=chance.choice(list(ProgramType)))
        assert needs_of(spec).lowest >= OLDEST
        list(stricter(spec, KernelVersion(4, 9)))
