"""What is said of this machine's kernel agrees with itself, with its configuration, and with bpftool's probes."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from skep.cli.features import command
from skep.engines.kernel import features
from skep.engines.kernel.features import has_helper, helper_names, why_no_map_type, why_no_program_type
from skep.engines.kernel.kconfig import kernel_config, kernel_version, parse_config
from skep.errors import KernelError
from skep.objects import MapType, ProgramType

LOOKUP, XDP_ADJUST_HEAD = 1, 44


@pytest.mark.usefixtures("nothing_left")
def test_helpers_belong_to_the_types_that_may_call_them() -> None:
    assert has_helper(ProgramType.XDP, LOOKUP)
    assert has_helper(ProgramType.XDP, XDP_ADJUST_HEAD)
    assert not has_helper(ProgramType.SOCKET_FILTER, XDP_ADJUST_HEAD)
    assert not has_helper(ProgramType.XDP, 100_000)


@pytest.mark.usefixtures("bpf")
def test_the_kernel_names_its_helpers() -> None:
    names = helper_names()
    assert names[LOOKUP] == "map_lookup_elem"
    assert names[XDP_ADJUST_HEAD] == "xdp_adjust_head"


@pytest.mark.usefixtures("nothing_left")
def test_types_agree_with_what_bpftool_finds() -> None:
    if not shutil.which("bpftool"):
        pytest.skip("bpftool is not installed")
    probe = subprocess.run(["bpftool", "-j", "feature", "probe"], capture_output=True, check=True)
    found = json.loads(probe.stdout)
    ours = {f"have_{kind.label}_prog_type": not why_no_program_type(kind) for kind in ProgramType if kind > 0}
    ours |= {f"have_{kind.label}_map_type": not why_no_map_type(kind) for kind in MapType if kind > 0}
    theirs: dict[str, bool] = found["program_types"] | found["map_types"]
    known = {name: supported for name, supported in theirs.items() if name in ours}
    assert {name: ours[name] for name in known} == known
    assert len(known) > 50


@pytest.mark.usefixtures("nothing_left")
def test_the_command_prints_a_line_for_people_and_an_object_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(features.detect())
    monkeypatch.setattr(features, "detect", lambda: found)
    lines = CliRunner().invoke(command, ["--json"]).output.splitlines()
    rows = {(row["kind"], row["name"]): row for row in map(json.loads, lines)}
    assert "redirect_map" in rows["program type", "xdp"]["helpers"]
    assert rows["map type", "array"] == {"kind": "map type", "name": "array", "supported": True}
    assert rows["setting", "net.core.bpf_jit_enable"]["value"] in ("0", "1", "2")
    text = CliRunner().invoke(command).output
    assert "  yes socket_filter" in text
    assert text.splitlines()[0].startswith("Program types")


def test_options_are_read_as_they_are_written() -> None:
    text = ["# CONFIG_A is not set", "CONFIG_B=y", 'CONFIG_C="x=1"', "", "CONFIG_D=0x10"]
    assert parse_config(text) == {"CONFIG_B": "y", "CONFIG_C": '"x=1"', "CONFIG_D": "0x10"}


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-fc", 0x06122C), ("5.4.300", 0x0504FF), ("6.1+", 0x060100), ("7.0.0-rc1", 0x070000)],
)
def test_a_version_is_a_byte_a_part(monkeypatch: pytest.MonkeyPatch, release: str, version: int) -> None:
    monkeypatch.setattr("platform.release", lambda: release)
    assert kernel_version() == version


@pytest.mark.usefixtures("bpf")
def test_the_running_kernel_was_built_with_bpf() -> None:
    try:
        options = kernel_config()
    except KernelError as error:
        pytest.skip(str(error))
    assert options["CONFIG_BPF_SYSCALL"] == "y"
