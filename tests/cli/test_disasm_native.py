"""`skep disasm --native` and `--llvm`: what the JIT makes of a program."""

from __future__ import annotations

import pytest

from tests.cli.command_line import EXAMPLES, Skep


@pytest.mark.parametrize(("option", "shows"), [("--native", "\tret"), ("--llvm", "define ")])
def test_the_jit_shows_its_work_for_every_program(skep: Skep, option: str, shows: str) -> None:
    printed = skep("disasm", EXAMPLES / "tail_call_parser.bpf.o", option)
    assert printed.status == 0
    for name in ("parse", "parse_vlan", "parse_udp"):
        assert f" {name}: xdp, section xdp" in printed.output
    assert printed.output.count(shows) >= 6


def test_other_forms_of_output_do_not_go_with_it(skep: Skep) -> None:
    for other in (["--source"], ["--json"], ["--llvm"], ["--raw"]):
        refused = skep("disasm", EXAMPLES / "shorten.bpf.o", "--native", *other)
        assert "--native and --llvm stand alone" in refused.complaint
