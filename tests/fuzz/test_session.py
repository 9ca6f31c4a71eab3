"""Sessions of `skep fuzz`: what they count, what they find and keep, and what can be run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skep.fuzz import session
from skep.fuzz.batch import Bench, Tally
from skep.fuzz.case import Case, read_case
from tests.cli.command_line import Skep
from tests.fuzz.conftest import has_kernel, needs_kernel


def first_case(kernel: bool, *, shrink: bool) -> Case:
    with Bench(kernel=kernel) as bench:
        finding = next(bench.compare(range(1000, 1300), 1, Tally()))
    return session._case(finding, kernel, shrink=shrink)


def test_a_wrong_engine_is_found_made_small_and_replayed(wrong_jit: None, tmp_path: Path, skep: Skep) -> None:
    case = first_case(has_kernel(), shrink=True)
    path = session._write(session._kept(case), tmp_path)
    kept = read_case(path.read_text(), str(path))
    assert kept.spec.instructions == case.spec.instructions
    # The smallest such program makes a negative number, shifts it, and shows it.
    assert len(case.spec.instructions) <= 8
    assert "s>>=" in case.text()
    assert case.remarks
    ended = skep("fuzz", "--replay", path)
    assert ended.status == 1
    assert "DIFFERS" in ended.output


def test_what_was_mended_replays_without_a_difference(tmp_path: Path, skep: Skep) -> None:
    with pytest.MonkeyPatch.context() as patch:
        from tests.fuzz.conftest import wrong_jit

        wrong_jit.__wrapped__(patch)  # type: ignore[attr-defined]
        path = session._write(session._kept(first_case(has_kernel(), shrink=False)), tmp_path)
    ended = skep("fuzz", "--replay", path, "--json")
    assert ended.status == 0
    assert json.loads(ended.output)["same"] is True


@needs_kernel
def test_ten_seconds_of_fuzzing_find_nothing(skep: Skep, tmp_path: Path) -> None:
    ended = skep("fuzz", "--against", "kernel", "--seconds", 10, "--seed", 1, "--save", tmp_path / "kept", "--json")
    report = json.loads(ended.output)
    assert report["differences"] == []
    assert ended.status == 0
    assert report["programs"] >= session.BATCH
    assert report["rejected"] <= 0.05 * report["programs"], report["reasons"]
    assert not (tmp_path / "kept").exists()


def test_a_process_that_dies_leaves_the_program_that_did_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = iter(["", "was ended by signal 11", ""])
    monkeypatch.setattr(session, "_ends", lambda *_: next(ended))
    monkeypatch.setattr(session, "_spawn", lambda *_: (None, None))
    one = session.Session(1, 1, kernel=False)
    worker = session._Worker(one, 0, end=0.0)
    worker.batch = session.Batch(20, 3, level=1)

    class Ended:
        exitcode = -11

        def recv(self) -> object:
            raise EOFError

        def join(self) -> None:
            pass

    worker.connection = worker.process = Ended()  # type: ignore[assignment]
    worker.listen(True, tmp_path)
    assert not worker.running
    (path,) = one.files
    assert "signal 11" in path.read_text()
    assert read_case(path.read_text()).seed == 21


def test_a_file_that_is_not_there_is_one_sentence(skep: Skep) -> None:
    assert "cannot be read" in skep("fuzz", "--replay", "nowhere.txt").complaint.replace("skep: without", "")
