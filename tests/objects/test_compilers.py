"""What compilers build from one source means the same, whichever builds it and for whichever BPF CPU."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import skep.objects
from skep.objects import AttachType, KfuncReference, MapReference, ProgramSpec, Spec
from tests.objects.samples import DATA, SAMPLES, build, clangs, sample

CPUS = ("v1", "v2", "v3", "v4")
#: clang 14 to 17 know three versions of the instruction set; an arena's address space came with 19.
NEWER = {"v4": 17, "arena": 19}

needs_clang = pytest.mark.skipif(not clangs(), reason="clang is not installed")


def version(clang: str) -> int:
    return int(clang.partition("-")[2] or "99")


def outline(spec: Spec) -> object:
    """What has to be the same for every compiler: all but the instructions and their number."""
    return (
        {name: shape(program) for name, program in spec.programs.items()},
        {name: (item.type, item.key_size, item.value_size, item.max_entries, item.flags, item.slots, item.contents)
         for name, item in spec.maps.items()},
        spec.variables.keys(),
        (spec.license, spec.kernel_version, spec.byte_order),
    )  # fmt: skip


def shape(program: ProgramSpec) -> object:
    return (
        (program.section, program.type, program.attach_type, program.attach_target, program.sleepable),
        sorted((function.name, function.is_global) for function in program.functions),
        {item for item in program.references.values() if isinstance(item, MapReference)},
        {item for item in program.references.values() if isinstance(item, KfuncReference)},
        {(item.kind, item.access) for item in program.core_relocations.values()},
    )


@needs_clang
@pytest.mark.parametrize("clang", clangs())
@pytest.mark.parametrize("name", ["functions", "data", "maps"])
def test_every_instruction_set_is_read(name: str, clang: str) -> None:
    for cpu in CPUS:
        if version(clang) >= NEWER.get(cpu, 0):
            spec = skep.objects.read(build(name, clang, f"-mcpu={cpu}", "-g"), name)
            assert outline(spec) == outline(sample(name)), cpu


@needs_clang
@pytest.mark.parametrize("clang", clangs())
@pytest.mark.parametrize("name", [name for name in SAMPLES if "." not in name])
def test_every_source_means_the_same_to_every_compiler(name: str, clang: str) -> None:
    if version(clang) < NEWER.get(name, 0):
        pytest.skip(f"{clang} does not know what {name} uses")
    found = skep.objects.read(build(name, clang, "-mcpu=v3", "-g"), name)
    assert outline(found) == outline(sample(name))


@needs_clang
@pytest.mark.parametrize("clang", clangs())
@pytest.mark.parametrize("name", ["functions", "data", "legacy", "bare"])
def test_objects_without_btf_are_read(name: str, clang: str) -> None:
    found, with_types = skep.objects.read(build(name, clang), name), sample(name)
    assert found.btf is None
    assert found.programs.keys() == with_types.programs.keys()
    for program in found.programs.values():
        functions = with_types[program.name].functions
        assert {item.name for item in program.functions} == {item.name for item in functions}
        assert not any(item.is_global or item.type_id for item in program.functions)
    variables = {name: (item.map, item.offset, item.size) for name, item in found.variables.items()}
    assert variables == {name: (item.map, item.offset, item.size) for name, item in with_types.variables.items()}


@needs_clang
def test_big_endian_differs_in_nothing_but_bytes() -> None:
    little = skep.objects.read(build("functions", clangs()[-1], "-g"))
    big = skep.objects.read(build("functions", clangs()[-1], "-g", target="bpfeb"))
    assert big.byte_order == "big"
    for name, program in little.programs.items():
        assert program.instructions == big[name].instructions
        assert program.lines == big[name].lines
        assert program.functions == big[name].functions


@pytest.mark.skipif(not shutil.which("llvm-objdump"), reason="llvm-objdump is not installed")
def test_a_disassembler_sees_the_relocations_that_were_applied() -> None:
    text = subprocess.run(
        ["llvm-objdump", "-d", "-r", "--section=xdp", str(DATA / "data.bpf.o")],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    program = sample("data")["sum"]
    relocated = {int(line.split(":")[0], 16) // 8 for line in text.stdout.splitlines() if "R_BPF_64_64" in line}
    assert relocated == set(program.references)


OTHERS = sorted(Path("/usr/lib").glob("*/bpf/*.o"))


@pytest.mark.skipif(not OTHERS, reason="xdp-tools is not installed")
@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_the_objects_of_xdp_tools_are_read(path: Path) -> None:
    spec = skep.objects.open(path)
    assert spec.programs
    assert spec.license == "GPL"
    for program in spec.programs.values():
        assert program.type is not None
        assert program.lines
        assert all(name in spec.maps for name in program.maps)
    if path.name.startswith("xdpdump_bpf"):
        assert spec["trace_on_entry"].attach_type is AttachType.TRACE_FENTRY
