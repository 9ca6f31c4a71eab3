"""What verifiers say is compared too: answers, messages, and what is no difference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from skep import objects
from skep.btf import BtfBuilder
from skep.diff import Options, Verdict, compare
from skep.diff.verdicts import ask, differ
from skep.engines.kernel.kconfig import kernel_version
from skep.objects import GlobalVariable, MapSpec, MapType, ProgramSpec, ProgramType
from skep.verifier import KERNEL, Report
from tests.cli.command_line import Skep
from tests.diff.test_compare import ENGINES, spec
from tests.fuzz.conftest import needs_kernel

EXAMPLES = Path(__file__).parents[2] / "examples"
NOT_READ = "r0 = r3\nexit"
same_version = pytest.mark.skipif(
    f"{kernel_version() >> 16}.{kernel_version() >> 8 & 255}" != KERNEL, reason="messages are those of another kernel"
)


def wrong(monkeypatch: pytest.MonkeyPatch, **says: Any) -> None:
    """Have skep's verifier say something of every program."""

    def verify(program: ProgramSpec, **_: object) -> Report:
        return Report(program.name, **says)

    monkeypatch.setattr("skep.verifier.verify", verify)


@needs_kernel
@same_version
@pytest.mark.parametrize(
    "text", [NOT_READ, "r0 = 1\nexit", "r0 = *(u64 *)(r1 + 3)\nexit", "r0 = *(u8 *)(r10 - 520)\nexit"]
)
def test_both_verifiers_are_asked(text: str) -> None:
    outcome = compare(spec(text), Options(count=4))
    assert list(outcome.verdicts) == ["skep", "kernel"]
    assert outcome.verdicts["skep"] == outcome.verdicts["kernel"]
    assert outcome.judged
    assert not outcome.differs


@needs_kernel
@same_version
def test_a_program_that_asks_for_the_configuration_gets_that_of_the_kernel() -> None:
    types = BtfBuilder()
    version = GlobalVariable("LINUX_KERNEL_VERSION", ".kconfig", 0, 4, types.integer("int", 4, signed=True))
    settings = MapSpec(".kconfig", MapType.ARRAY, 4, 4, 1, frozen=True, configuration=(version,))
    asking = spec("r1 = map[.kconfig][0] ll\nr0 = *(u32 *)(r1 + 0)\nif r0 > 4 goto +1\nr0 = r9\nr0 = 2\nexit")
    asking = replace(asking, btf=types.build(), maps=MappingProxyType({".kconfig": settings}))
    verdicts = ask(asking, None, kernel=True)
    assert verdicts == {"skep": Verdict("accept"), "kernel": Verdict("accept")}


def test_without_the_kernel_there_is_nothing_to_compare_with() -> None:
    outcome = compare(spec(NOT_READ), Options(engines=("interpreter", "jit"), count=1))
    assert outcome.verdicts == {"skep": Verdict("reject", "R3 !read_ok")}
    assert not outcome.judged
    assert not outcome.disputed


@needs_kernel
def test_an_accepted_program_that_the_kernel_refuses_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong(monkeypatch, verdict="accept")
    outcome = compare(spec("r2 = 4\nr2 += 1\nr0 = r3\nr0 += r2\nexit"), Options(engines=ENGINES, count=1))
    assert outcome.differs
    assert outcome.verdicts["kernel"].message == "R3 !read_ok"
    assert outcome.reduced_disputed is not None
    assert len(outcome.reduced_disputed.instructions) <= 2


@needs_kernel
@same_version
def test_another_message_is_a_difference_too(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong(monkeypatch, verdict="reject", message="R4 !read_ok")
    outcome = compare(spec(NOT_READ), Options(count=1))
    assert outcome.disputed
    assert str(outcome.verdicts["skep"]) == "reject: R4 !read_ok"


@needs_kernel
def test_what_skep_cannot_decide_is_no_difference(monkeypatch: pytest.MonkeyPatch, skep: Skep) -> None:
    wrong(monkeypatch, verdict="unsupported", message="something new")
    target = EXAMPLES / "shorten.bpf.o"
    outcome = skep("diff", str(target), "--inputs", "4")
    assert outcome.status == 0
    assert "skep cannot decide whether Linux accepts it: something new" in outcome.output
    assert "skep's verifier cannot decide 1" in outcome.output


@needs_kernel
def test_the_command_shows_both_verdicts_and_fails(monkeypatch: pytest.MonkeyPatch, skep: Skep) -> None:
    wrong(monkeypatch, verdict="reject", message="no")
    target = str(EXAMPLES / "shorten.bpf.o")
    outcome = skep("diff", target, "--inputs", "4", "--no-shrink")
    assert outcome.status == 1
    assert "the same on kernel, interpreter and jit, 4 inputs; the VERDICTS DIFFER" in outcome.output
    assert "  skep    reject: no\n  kernel  accept\n" in outcome.output
    assert "1 verdict compared, 1 differ" in outcome.output
    (found,) = [json.loads(line) for line in skep("diff", target, "--inputs", "4", "--json").output.splitlines()]
    assert found["same"] is True
    assert found["same_verdict"] is False
    assert found["verdicts"]["skep"] == {"verdict": "reject", "message": "no"}
    assert "exit" in found["smallest_disputed"]


def test_verdicts_on_memory_are_not_asked_for() -> None:
    raw = replace(spec("r0 = 1\nexit"), type=ProgramType.RAW)
    assert compare(raw, Options(engines=("interpreter", "jit"), count=1)).verdicts == {}


def test_only_decided_answers_differ() -> None:
    yes, no, unknown = Verdict("accept"), Verdict("reject", "no"), Verdict("unsupported", "what")
    assert differ({"skep": yes, "kernel": no})
    assert not differ({"skep": yes, "kernel": yes})
    assert not differ({"skep": unknown, "kernel": no})
    assert not differ({"kernel": no})


@same_version
def test_where_the_kernel_put_an_instruction_is_no_difference() -> None:
    bug = "verifier bug: No program to jit at insn {} (subprog < 0)"
    assert not differ({"skep": Verdict("reject", bug.format(68)), "kernel": Verdict("reject", bug.format(93))})
    assert differ({"skep": Verdict("reject", "R1 !read_ok"), "kernel": Verdict("reject", "R2 !read_ok")})


@needs_kernel
def test_constants_for_the_time_do_not_change_the_verdict() -> None:
    path = EXAMPLES / "rate_limiter.bpf.o"
    (program,) = objects.open(path).programs.values()
    outcome = compare(program, Options(count=4))
    assert outcome.replaced
    assert outcome.verdicts == {"skep": Verdict("accept"), "kernel": Verdict("accept")}
