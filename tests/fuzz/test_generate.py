"""Generated programs: the same from the same number, readable as text, taken by the kernel."""

from __future__ import annotations

import pytest

from skep.diff.text import listing_of
from skep.errors import AssemblyError, RequestError
from skep.fuzz.batch import Bench, Tally
from skep.fuzz.case import Case, read_case
from skep.fuzz.generate import program
from skep.fuzz.inputs import inputs_of
from skep.fuzz.maps import MAPS
from skep.isa import assemble, check, row_of
from skep.objects.spec import FunctionReference, MapReference
from tests.fuzz.conftest import needs_kernel


def test_a_number_always_makes_the_same_program_and_inputs() -> None:
    assert program(7) == program(7)
    assert program(7) != program(8)
    assert inputs_of(7) == inputs_of(7)


def test_programs_are_encodable_and_have_what_compilers_make() -> None:
    names: set[str] = set()
    used: set[str] = set()
    callbacks = 0
    for seed in range(150):
        spec = program(seed)
        check(spec.instructions)
        names |= {row.name for one in spec.instructions if (row := row_of(one)) is not None}
        used |= {one.map for one in spec.references.values() if isinstance(one, MapReference)}
        callbacks += any(isinstance(one, FunctionReference) for one in spec.references.values())
    assert used == set(MAPS)
    assert callbacks
    assert {"call_subprogram", "call_helper", "may_goto", "atomic64_cmpxchg", "load_acquire32", "ldx_s16"} <= names


def test_a_case_is_read_back_as_it_was_written() -> None:
    for seed in range(40):
        spec = program(seed)
        case = Case(spec, inputs_of(seed), 3, seed, ("a remark\nof two lines",))
        read = read_case(case.text())
        assert (read.inputs, read.level, read.seed) == (case.inputs, 3, seed)
        assert read.spec.instructions == spec.instructions
        assert read.spec.references == spec.references
        assert dict(read.spec.maps) == dict(spec.maps)
        assert read.spec.functions == spec.functions
        assert assemble(listing_of(spec)).instructions == spec.instructions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type xdp\n", "no line 'program'"),
        ("type xdp\nlevel 1\nseed 1\ninput 0\nprogram\nexit\n", "line 4"),
        ("level 1\nprogram\nexit\n", "type, level or seed"),
        ("type xdp\nlevel one\nprogram\nexit\n", "type, level or seed"),
        ("type xdp\nwhatever\nprogram\nexit\n", "line 2"),
        ("type xdp\nprogram\nr1 = map[nothing] ll\nexit\n", "'nothing'"),
    ],
)
def test_a_damaged_case_is_refused_by_its_line(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_case(text, "case.txt")


def test_a_program_in_error_is_refused_by_its_line() -> None:
    with pytest.raises(AssemblyError, match="line 3"):
        read_case("type xdp\nprogram\nr0 = what\nexit\n", "case.txt")


@needs_kernel
def test_the_kernel_takes_nearly_all_and_all_engines_agree() -> None:
    tally = Tally()
    with Bench(kernel=True) as bench:
        findings = [one.seed for level in (-1, 3) for one in bench.compare(range(level, level + 100), level, tally)]
    assert findings == []
    assert tally.programs == 200
    assert tally.rejected <= 10, tally.reasons


def test_without_a_kernel_interpreter_and_jit_are_compared() -> None:
    tally = Tally()
    with Bench(kernel=False) as bench:
        assert list(bench.compare(range(50), 1, tally)) == []
    assert tally.runs == 150
