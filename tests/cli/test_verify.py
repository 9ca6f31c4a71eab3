"""What `skep verify` prints and how it ends: answers, tables, JSON, logs, several objects at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command_line import EXAMPLES, Skep
from tests.objects.samples import build_text, clangs
from tests.verifier import c_programs

RUNS = Path(__file__).parents[1] / "data" / "runs"
PEEK = RUNS / "peek.bpf.o"
COUNTER = EXAMPLES / "xdp_counter.bpf.o"
PARSER = EXAMPLES / "tail_call_parser.bpf.o"


def test_an_accepted_program_says_what_it_cost(skep: Skep) -> None:
    shown = skep("verify", COUNTER)
    assert shown.status == 0
    assert shown.output.startswith(f"accept xdp_count (xdp, section xdp) in {COUNTER}")
    assert "133 instructions followed, 0.01% of the limit" in shown.output
    assert "costs most: the branch at instruction" in shown.output


def test_a_rejected_program_says_why(skep: Skep) -> None:
    shown = skep("verify", PEEK)
    assert shown.status == 1
    for part in (
        "  R1 offset is outside of the packet\n",
        "  > 11 |     return data[60] ? XDP_DROP : XDP_PASS;\n",
        "  how it came to this\n",
        "    Compare before instruction 1 (line 11), with the pointer that is followed:\n",
        "    invalid access to packet, off=60 size=1, R1(id=0,off=60,r=0)\n",
    ):
        assert part in shown.output
    assert "\x1b" not in shown.output
    assert all(len(line) <= 80 or "section" in line for line in shown.output.splitlines())


def test_several_programs_end_in_a_table(skep: Skep) -> None:
    shown = skep("verify", PARSER, COUNTER, PEEK, "--jobs", 2)
    assert shown.status == 1
    assert shown.output.count("\nreject peek") == 1 or shown.output.startswith("reject peek")
    assert "how it came to this" in shown.output
    assert f"\n{COUNTER}\nverdict  program    instructions  stack" in shown.output
    assert "\naccept   xdp_count           133     32" in shown.output
    assert shown.output.endswith("7 accepted, 1 rejected\n")


def test_programs_are_chosen_by_name(skep: Skep) -> None:
    chosen = skep("verify", PARSER, "--program", "parse_tcp", "--program", "parse_udp", "--json")
    assert [json.loads(line)["program"] for line in chosen.output.splitlines()] == ["parse_tcp", "parse_udp"]
    assert skep("verify", f"{PARSER}:parse").output.startswith("accept parse (")
    assert "no object has a program 'nope'" in skep("verify", PARSER, "--program", "nope").complaint
    assert "there is no program 'nope'" in skep("verify", f"{PARSER}:nope").complaint


def test_json_is_an_object_a_line_from_one_process_and_from_several(skep: Skep) -> None:
    alone = [json.loads(line) for line in skep("verify", PARSER, PEEK, "--json", "--jobs", 1).output.splitlines()]
    spread = [json.loads(line) for line in skep("verify", PARSER, PEEK, "--json", "--jobs", 3).output.splitlines()]
    for one in (*alone, *spread):
        one.pop("milliseconds")
    assert alone == spread
    assert [one["verdict"] for one in alone] == ["accept"] * 6 + ["reject"]
    assert alone[-1]["explanation"]["category"] == "packet bounds"
    assert alone[-1]["source"]["line"] == 11


def test_logs_come_before_the_answer(skep: Skep) -> None:
    shown = skep("verify", PEEK, "--log-level", 1)
    assert shown.output.startswith("0: R1=ctx() R10=fp0\n; ")
    assert "1: (71) r1 = *(u8 *)(r1 +60)\ninvalid access to packet" in shown.output
    (answer,) = [json.loads(line) for line in skep("verify", PEEK, "--log-level", 4, "--json").output.splitlines()]
    assert "verification time" in answer["log"]
    assert "Live regs before insn:" in skep("verify", PEEK, "--log-level", 2).output


def test_what_cannot_be_asked_is_said_in_one_line(skep: Skep, tmp_path: Path) -> None:
    assert "No such file" in skep("verify", "nosuch.o").complaint
    assert "there is no program type 'foo'" in skep("verify", PEEK, "--type", "foo").complaint
    assert (
        "nothing is known of Linux 3.18: known are 4.9 to 7.3" in skep("verify", PEEK, "--kernel", "3.18").complaint
    )
    assert "nothing is known of Linux 8.0: known are 4.9 to 7.3" in skep("verify", PEEK, "--kernel", "8.0").complaint
    assert "'new' is no kernel version" in skep("verify", PEEK, "--kernel", "new").complaint


def test_an_older_kernel_refuses_what_it_does_not_have(skep: Skep) -> None:
    shown = skep("verify", COUNTER, "--kernel", "v4.19.3")
    assert shown.status == 1
    assert shown.output.startswith(f"reject xdp_count (xdp, section xdp) in {COUNTER}, for Linux 4.19, ")
    words = " ".join(shown.output.split())
    for part in (
        "map .rodata: Invalid argument (EINVAL) kernel version: Linux 4.19 has no map flag BPF_F_RDONLY_PROG",
        "The first version with all that it needs is 5.2.",
        "what to do Keep the data in a map that the program looks up, or on the stack; or deploy it to Linux 5.2",
    ):
        assert part in words


def test_what_an_older_kernel_may_be_stricter_about_is_told(skep: Skep) -> None:
    shown = skep("verify", COUNTER, "--kernel", "5.4.0-150-generic")
    assert shown.status == 1
    words = " ".join(shown.output.split())
    assert "cannot be decided: nothing that the program uses is newer than Linux 5.4, and the rules of 6.18" in words
    assert "\n  on Linux 5.4\n    - before 5.5 constants of .rodata were not known:" in shown.output
    (answer,) = [
        json.loads(line) for line in skep("verify", COUNTER, "--kernel", "5.4", "--json").output.splitlines()
    ]
    assert (answer["verdict"], answer["kernel"], answer["lowest_kernel"]) == ("unsupported", "5.4", "5.2")
    assert answer["missing"] == []
    assert len(answer["notes"]) > 3
    several = skep("verify", PARSER, "--kernel", "4.14", "--jobs", 2)
    assert several.output.endswith("6 rejected\n")


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
def test_functions_for_other_objects_are_programs_only_where_somebody_says_so(skep: Skep, tmp_path: Path) -> None:
    library = tmp_path / "library.o"
    library.write_bytes(
        build_text("int one(void *c) { return 1; } int two(void *c) { return 2; }", clangs()[-1], "-g")
    )
    shown = skep("verify", library)
    assert (shown.status, shown.output) == (2, "")
    assert "there is no program to verify: programs need a section of their own" in shown.errors
    assert skep("verify", library, "--type", "xdp").status == 0
    assert "a program of unknown type (section .text)" in skep("verify", f"{library}:two").output


@pytest.mark.skipif(not clangs(), reason="clang is not installed")
def test_a_program_that_replaces_a_function_needs_the_program_that_has_it(skep: Skep, tmp_path: Path) -> None:
    filter, policy = tmp_path / "filter.o", tmp_path / "policy.o"
    filter.write_bytes(
        build_text(
            "struct xdp_md { int data, data_end, data_meta, ingress_ifindex; };\n"
            "__attribute__((noinline)) int policy(struct xdp_md *ctx, int port) "
            "{ return ctx->ingress_ifindex + port; }\n"
            '__attribute__((section("xdp"), used)) int first(struct xdp_md *ctx) { return policy(ctx, 1); }\n'
            '__attribute__((section("xdp"), used)) int second(struct xdp_md *ctx) { return policy(ctx, 2); }\n'
            '__attribute__((section("xdp"), used)) int third(struct xdp_md *ctx) { return 2; }\n',
            clangs()[-1],
            "-g",
        )
    )
    policy.write_bytes(
        build_text(
            "struct xdp_md { int data; };\n"
            '__attribute__((section("freplace/policy"), used)) int mine(struct xdp_md *c, int port) { return 1; }\n',
            clangs()[-1],
            "-g",
        )
    )
    alone = skep("verify", policy)
    assert alone.status == 1
    assert "--target OBJECT:PROGRAM" in " ".join(alone.output.split())
    assert skep("verify", policy, "--target", f"{filter}:first").output.startswith("accept mine")
    several = skep("verify", policy, "--target", filter)
    assert several.status == 2
    assert "choose the program that has it with" in several.errors
    without = skep("verify", policy, "--target", f"{filter}:third")
    assert without.status == 1
    assert "which is not checked here yet" not in " ".join(without.output.split())
    itself = skep("verify", policy, "--target", policy)
    assert itself.status == 2
    assert "no program here has function 'policy', which 'mine' is to replace" in itself.errors


@pytest.mark.skipif(c_programs.missing() is not None, reason=str(c_programs.missing()))
def test_tables_that_only_distributions_have_are_verified_by_the_types_in_the_package(
    skep: Skep, tmp_path: Path
) -> None:
    object = tmp_path / "discipline.o"
    object.write_bytes(c_programs.built("distribution/qdisc"))
    shown = skep("verify", f"{object}:fifo_enqueue", "--btf", "distribution")
    assert shown.status == 0
    assert shown.output.startswith("accept fifo_enqueue (struct_ops, section struct_ops/enqueue)")
