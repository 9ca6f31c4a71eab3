"""Functions become BPF instructions; what BPF cannot express is refused, and never ends the process."""

from __future__ import annotations

import ctypes
import random
import subprocess
import sys
from pathlib import Path

import pytest

from skep.engines import Binding, engine
from skep.errors import LanguageError
from skep.isa import disassemble
from skep.lang import (
    ACQUIRE,
    BpfCode,
    Function,
    Ptr,
    address_of,
    atomic_exchange,
    cast,
    compile_bpf,
    function,
    null,
    relax,
    struct,
    u8,
    u32,
    u64,
    unlikely,
)
from skep.memory import AddressSpace, Region
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec
from tests.lang import awkward


@struct
class SpinLock:
    value: u32


@struct
class Map:
    values: Ptr[u8]
    entries: u32


@function
def acquire(lock: Ptr[SpinLock]) -> None:
    while atomic_exchange(address_of(lock.value), 1, ACQUIRE) != 0:
        relax()


@function
def lookup(map: Ptr[Map], key: Ptr[u32], value_size: u32) -> Ptr[u8]:
    index = key[0]
    if unlikely(index >= map.entries):
        return null(u8)
    return address_of(map.values[u64(index) * u64(value_size)])


def _text(code: BpfCode) -> list[str]:
    return [line.text for line in disassemble(code.instructions)]


def _run(code: BpfCode, *arguments: int) -> int:
    spec = ProgramSpec("made", "raw", ProgramType.RAW, code.instructions)
    first, second = (*arguments, 0, 0)[:2]
    return engine("interpreter").load(spec, Binding(AddressSpace())).run(first, second, 0)


def test_a_lock_is_a_loop_of_three_instructions() -> None:
    assert _text(compile_bpf(acquire)) == [
        "w2 = 1",
        "w2 = xchg32_32(r1 + 0, w2)",
        "if w2 != 0 goto L0",
        "exit",
    ]


def test_an_array_lookup_is_what_the_kernel_writes_by_hand() -> None:
    code = compile_bpf(lookup.specialise(value_size=8))
    assert len(code.instructions) <= 10
    assert code.stack_size == 0
    assert compile_bpf(lookup.specialise(value_size=8)) is code


def test_a_slow_path_stays_a_call() -> None:
    code = compile_bpf(awkward.calls_slow_twice_fits)
    assert code.functions[awkward.calls_slow_twice_fits.symbol] == 0
    assert code.functions[awkward.slow.symbol] > 0
    assert sum(text.startswith("call ") for text in _text(code)) == 2


@pytest.mark.parametrize(
    ("one", "arguments"),
    [
        (awkward.bits_fits, (0x1234_5678_9ABC_DEF0, 77)),
        (awkward.bits_fits, (0, 0)),
        (awkward.wide_products_fits, (2**64 - 1, 2**64 - 1)),
        (awkward.wide_products_fits, (2**33 + 5, 99)),
        (awkward.division_by_lowest_bit_fits, (1000, 24)),
        (awkward.division_by_lowest_bit_fits, (1000, 0)),
        (awkward.many_choices_fits, (4,)),
        (awkward.reads_known_element_fits, ()),
        (awkward.inlines_six_fits, (9,)),
        (awkward.address_of_local_fits, (9,)),
    ],
)
def test_bpf_and_native_code_agree(one: Function[..., int], arguments: tuple[int, ...]) -> None:
    result = _run(compile_bpf(one), *arguments)
    assert result & (2 ** (8 * one.result.size) - 1) == one(*arguments)


def test_narrow_atomics_leave_their_neighbours_alone() -> None:
    code = compile_bpf(awkward.narrow_atomics)
    for seed in range(20):
        start = random.Random(seed).randbytes(24)
        native, interpreted = ctypes.create_string_buffer(start, 24), ctypes.create_string_buffer(start, 24)
        expected = awkward.narrow_atomics(cast(Ptr[u8], ctypes.addressof(native)), seed)
        space = AddressSpace()
        address = ctypes.addressof(interpreted)
        space.add(Region("memory", address, 24))
        spec = ProgramSpec("made", "raw", ProgramType.RAW, code.instructions)
        loaded = engine("interpreter").load(spec, Binding(space))
        assert loaded.run(address, seed, 0) == expected
        assert native.raw == interpreted.raw


def test_awkward_functions_end_in_code_or_an_error_but_not_the_process() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.lang.awkward"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = [line.split()[:2] for line in done.stdout.splitlines()]
    assert len(outcomes) == len(awkward.AWKWARD) + 4
    wrong = [name for name, outcome in outcomes if not name.endswith("_" + outcome)]
    assert wrong == [], done.stdout


def test_a_refusal_points_at_the_place() -> None:
    with pytest.raises(LanguageError, match=r"calls the C function getpid, which BPF code cannot") as caught:
        compile_bpf(awkward.calls_c_refused)
    assert "return getpid()\n" in str(caught.value)
    with pytest.raises(LanguageError, match="6 parameters, and BPF passes 5"):
        compile_bpf(awkward.calls_six_refused)
    with pytest.raises(LanguageError, match="bytes of stack, and has 512"):
        compile_bpf(awkward.large_local_refused)
