"""What `skep needs` prints, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from skep import open as skep_open
from skep.versions.strictness import RELAXED
from tests.cli.command_line import EXAMPLES, Skep

PAGE = (Path(__file__).parents[2] / "docs" / "kernel-versions.md").read_text()
SHORTEN = EXAMPLES / "shorten.bpf.o"
LIMITER = EXAMPLES / "rate_limiter.bpf.o"
PARSER = EXAMPLES / "tail_call_parser.bpf.o"
TCP_LIFE = Path(__file__).parents[1] / "data" / "shipped" / "tcp_life.v3.bpf.o"


def test_a_program_is_told_with_what_it_needs_and_where(skep: Skep) -> None:
    shown = skep("needs", LIMITER)
    assert shown.status == 0
    assert shown.output == (
        f"limit (xdp, section xdp) in {LIMITER} needs Linux 5.2\n"
        "    5.2   map flag BPF_F_RDONLY_PROG            map .rodata\n"
        "    5.2   global data                           rate_limiter.bpf.c:49\n"
        "    5.1   32-bit jumps                          rate_limiter.bpf.c:43\n"
        "    5.1   helper bpf_spin_lock                  rate_limiter.bpf.c:58\n"
        "    5.1   helper bpf_spin_unlock                rate_limiter.bpf.c:75\n"
        "    4.14  jumps if less (jlt, jle, jslt, jsle)  rate_limiter.bpf.c:62\n"
        "  and uses, where there is that, but does without:\n"
        "    5.9   attach type xdp          loaders leave it out\n"
        "    5.5   map flag BPF_F_MMAPABLE  libbpf leaves it out\n"
    )


def test_several_programs_end_with_what_all_of_them_need(skep: Skep) -> None:
    shown = skep("needs", TCP_LIFE, f"{PARSER}:parse")
    assert shown.output.endswith("\n\nall together need Linux 5.8\n")
    assert f"parse (xdp, section xdp) in {PARSER} needs Linux 5.2\n" in shown.output
    assert "needs Linux 4.9 or an older one\n" in shown.output
    assert (
        "  it finds out what the kernel has by tests by CO-RE and the kernel's configuration, and may do without "
        "some of it\n"
    ) in shown.output


def test_json_is_an_object_a_line(skep: Skep) -> None:
    (needs,) = [json.loads(line) for line in skep("needs", SHORTEN, "--json").output.splitlines()]
    assert {key: value for key, value in needs.items() if key != "needs"} == {
        "kind": "needs",
        "object": str(SHORTEN),
        "program": "shorten",
        "section": "xdp",
        "type": "xdp",
        "lowest_kernel": "5.2",
        "unknown": [],
        "asks": "",
    }
    jumps = next(one for one in needs["needs"] if one["name"] == "32-bit jumps")
    assert (jumps["since"], jumps["required"], jumps["source"]["line"]) == ("5.1", True, 12)
    assert [one["name"] for one in needs["needs"] if not one["required"]][:2] == ["xdp", "BPF_F_MMAPABLE"]


def test_what_cannot_be_asked_is_said_in_one_line(skep: Skep, tmp_path: Path) -> None:
    assert "No such file" in skep("needs", "nosuch.o").complaint
    assert "there is no program 'nope'" in skep("needs", f"{SHORTEN}:nope").complaint
    assert "there is no program type 'foo'" in skep("needs", SHORTEN, "--type", "foo").complaint
    damaged = tmp_path / "damaged.bpf.o"
    damaged.write_bytes(SHORTEN.read_bytes()[:900])
    assert str(damaged) in skep("needs", damaged).complaint


def test_the_page_shows_what_is_printed(skep: Skep, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.findall(r"```\n\$ skep ([^\n]*)\n(.*?)```", PAGE, re.S)
    monkeypatch.setenv("COLUMNS", "80")
    assert [arguments.split()[0] for arguments, _ in shown] == ["needs", "verify"]
    monkeypatch.chdir(EXAMPLES)
    assert skep(*shown[0][0].split()).output == shown[0][1]
    program = shown[1][0].replace("tcp_life.bpf.o", str(TCP_LIFE)).split()
    expected, printed = shown[1][1].splitlines()[1:], skep(*program).output.splitlines()[1:]
    assert printed == expected


def test_the_page_lists_what_older_verifiers_are_stricter_about() -> None:
    listed = re.findall(r"^\| (\d\.\d+) \|", PAGE, re.M)
    assert listed == ["5.2", *dict.fromkeys(str(since) for since in RELAXED)]


def test_the_page_s_python_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(example, "kernel-versions.md", "exec"), {})


def test_maps_that_no_program_uses_are_made_all_the_same(skep: Skep) -> None:
    maps = EXAMPLES.parent / "tests" / "data" / "objects" / "maps.bpf.o"
    shown = skep("needs", maps)
    assert (
        f"\nmaps in {maps} that no program uses, but that loaders make, need Linux 5.16\n"
        "    5.16  map type bloom_filter     map bloom\n"
        "    5.8   map type ringbuf          map events\n"
        "    4.14  map flag BPF_F_NUMA_NODE  map pinned\n"
        "\nall together need Linux 5.16\n"
    ) in shown.output
    (name, *_) = skep_open(str(maps)).programs
    assert "that no program uses" not in skep("needs", f"{maps}:{name}").output
    last = json.loads(skep("needs", maps, "--json").output.splitlines()[-1])
    assert (last["program"], last["section"], last["type"]) == (None, None, None)
    assert all(need["map"] for need in last["needs"])
