"""The bpf_conformance files: how they are read, and that all of them pass.

The files are not part of this repository; SKEP_CONFORMANCE names the folder that holds them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skep.engines import ENGINES, engine
from skep.engines.conformance import Case, cases, read_case, run_bytes, run_case
from skep.errors import AssemblyError, RequestError
from skep.isa.assembler import assemble

FOLDER = os.environ.get("SKEP_CONFORMANCE")


@pytest.mark.skipif(FOLDER is None, reason="SKEP_CONFORMANCE does not name the folder of the bpf_conformance files")
@pytest.mark.parametrize("name", ["interpreter", "jit"])
def test_all_files_pass(name: str) -> None:
    assert FOLDER is not None
    outcomes = [run_case(case, engine(name)) for case in cases([Path(FOLDER)])]
    assert len(outcomes) >= 313
    assert [f"{outcome.case.name}: {outcome.difference}" for outcome in outcomes if not outcome.passed] == []


def written(folder: Path, text: str, name: str = "one.data") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_in_sections(tmp_path: Path) -> None:
    text = "# remark\n-- asm\nldxb %r0, [%r1+1] # second\nexit\n-- mem\n01 0a # ten\n-- c\nx\n-- result\n0xa\n"
    case = read_case(written(tmp_path, text))
    assert (case.name, case.memory, case.expected) == ("one", b"\x01\x0a", 10)
    assert run_case(case, engine("interpreter")).passed


def test_raw_words_and_negative_results(tmp_path: Path) -> None:
    case = read_case(written(tmp_path, "-- raw\n0xffffffff000000b7\n0x95\n-- result\n-1\n"))
    assert case.expected == (1 << 64) - 1
    assert run_case(case, engine("interpreter")).passed


def test_a_program_that_has_to_be_refused(tmp_path: Path) -> None:
    case = read_case(written(tmp_path, "-- asm\nmov %r10, 1\nexit\n-- error\nwhatever\n"))
    assert run_case(case, engine("interpreter")).passed
    accepted = read_case(written(tmp_path, "-- asm\nmov %r0, 1\nexit\n-- error\nwhatever\n"))
    assert run_case(accepted, engine("interpreter")).difference == "r0 is 0x1, expected is a refusal"


def test_all_64_bits_are_compared(tmp_path: Path) -> None:
    case = read_case(written(tmp_path, "-- asm\nmov %r0, -1\nexit\n-- result\n0xffffffff\n"))
    outcome = run_case(case, engine("interpreter"))
    assert not outcome.passed
    assert outcome.difference == "r0 is 0xffffffffffffffff, expected is 0xffffffff"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no asm and no raw section"),
        ("-- asm\nexit\n", "no result section"),
        ("-- asm\nexit\n-- result\nten\n", "holds 'ten', which is no number"),
        ("-- asm\nexit\n-- result\n0x1ffffffffffffffff\n", "more than 64 bits"),
        ("-- asm\nexit\n-- mem\n1\n-- result\n0\n", "mem section is not made of pairs of hex digits"),
        ("-- raw\nxyz\n-- result\n0\n", "raw section holds 'xyz'"),
    ],
)
def test_a_file_that_is_no_test(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem) as caught:
        read_case(written(tmp_path, text))
    assert caught.value.file == str(tmp_path / "one.data")


def test_an_error_in_the_assembly_names_its_line_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError) as caught:
        read_case(written(tmp_path, "# remark\n-- asm\nexit\nfrobnicate %r1\n-- result\n0\n"))
    assert caught.value.line == 4


def test_folders_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no file that ends in \.data"):
        list(cases([tmp_path]))
    (tmp_path / "sub").mkdir()
    written(tmp_path / "sub", "-- asm\nexit\n-- result\n0\n")
    assert [case.name for case in cases([tmp_path])] == ["one"]
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        read_case(tmp_path / "nothing.data")
    (tmp_path / "bytes.data").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(RequestError, match="it is not text"):
        read_case(tmp_path / "bytes.data")


def test_no_memory_is_a_null_pointer_of_length_0() -> None:
    program = assemble("r0 = r1\nr0 += r2\nexit").instructions
    assert run_bytes(program, b"", engine("interpreter")) == 0


def test_engines_by_name() -> None:
    assert engine("interpreter").name == "interpreter"
    with pytest.raises(RequestError, match=f"there is no engine 'magic'; the engines are {', '.join(ENGINES)}"):
        engine("magic")


def test_a_failed_run_says_why() -> None:
    case = Case("x", assemble("exit").instructions, b"", 0, "x.data")
    assert "r0, the result, never written" in run_case(case, engine("interpreter")).difference
