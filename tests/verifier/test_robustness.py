"""Whatever bytes a program has, the verifier gives a verdict: nothing but a SkepError is raised, in bounded time."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import skep
from skep.errors import SkepError
from skep.isa import decode
from skep.objects import FunctionSpec, ProgramSpec, ProgramType
from skep.verifier import verify
from tests.verifier.random_programs import deep_program, random_program

_TYPES = [type for type in ProgramType if type not in (ProgramType.RAW, ProgramType.UNSPEC)]
_LIMIT = 5_000
_VERDICTS = ("accept", "reject", "unsupported")


def judged(spec: ProgramSpec) -> None:
    with contextlib.suppress(SkepError):
        assert verify(spec, limit=_LIMIT).verdict in _VERDICTS


def of_bytes(code: bytes, type: ProgramType) -> ProgramSpec | None:
    try:
        instructions = decode(code)
    except SkepError:
        return None
    return ProgramSpec("fuzzed", "fuzzed", type, tuple(instructions), functions=(FunctionSpec("fuzzed", 0),))


def mutated(spec: ProgramSpec, chance: random.Random) -> ProgramSpec:
    """``spec`` with some fields of some instructions changed."""
    instructions = list(spec.instructions)
    for _ in range(chance.randrange(1, 5)):
        slot = chance.randrange(len(instructions))
        one = instructions[slot]
        match chance.randrange(6):
            case 0:
                one = replace(one, dst=chance.randrange(11))
            case 1:
                one = replace(one, src=chance.randrange(11))
            case 2:
                one = replace(one, offset=chance.choice((0, 1, -1, -8, -512, 7, 0x7FFF, -0x8000)))
            case 3:
                one = replace(one, imm=chance.choice((0, 1, -1, 2, 12, 181, 0x7FFFFFFF, -0x80000000)))
            case 4:
                one = replace(one, opcode=chance.randrange(256))
            case _:
                one = instructions[chance.randrange(len(instructions))]
        instructions[slot] = one
    return replace(spec, instructions=tuple(instructions))


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=8, max_size=160).map(lambda code: code[: len(code) // 8 * 8]), st.sampled_from(_TYPES))
def test_any_bytes_get_a_verdict(code: bytes, type: ProgramType) -> None:
    spec = of_bytes(code, type)
    if spec is not None:
        judged(spec)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 32))
def test_changed_programs_get_a_verdict(seed: int) -> None:
    chance = random.Random(seed)
    made = chance.choice((random_program, deep_program))
    judged(mutated(made(seed), chance))


def test_changed_programs_of_objects_get_a_verdict() -> None:
    chance = random.Random(7)
    files = sorted(Path("examples").glob("*.o"))
    specs = [spec for file in files for spec in skep.open(str(file)).programs.values()]
    for _ in range(60):
        spec = chance.choice(specs)
        judged(replace(mutated(spec, chance), type=chance.choice([spec.type, *_TYPES])))
