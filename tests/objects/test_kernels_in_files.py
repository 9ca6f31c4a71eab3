"""Programs fitted to kernels that are known by files alone: a vmlinux, and its modules beside it."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from skep.btf import Btf, BtfBuilder, CoreKind, CoreRelocation
from skep.errors import BtfError, RequestError
from skep.isa import BY_NAME, Instruction
from skep.objects import ProgramSpec, ProgramType
from skep.objects.fitting import facts_of_files, fit
from tests.btf.test_files import elf

MOVE, EXIT = BY_NAME["mov64_imm"].opcode, BY_NAME["exit"].opcode


def structure(builder: BtfBuilder, name: str, *members: str) -> int:
    word = builder.integer("unsigned int", 4)
    return builder.struct(name, [(member, word) for member in members])


def asks_for_offset(name: str, member: str) -> ProgramSpec:
    builder = BtfBuilder()
    type_id = structure(builder, name, member)
    return ProgramSpec(
        "asks",
        "xdp",
        ProgramType.XDP,
        (Instruction(MOVE, 0, imm=0), Instruction(EXIT)),
        core_relocations=MappingProxyType({0: CoreRelocation(0, CoreKind.FIELD_BYTE_OFFSET, type_id, "0:0")}),
        file="program.o",
        btf=builder.build(),
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A kernel's vmlinux and the BTF of a module of it."""
    kernel = BtfBuilder("big")
    structure(kernel, "task", "state", "pid")
    base = kernel.build()
    module = BtfBuilder("big", base)
    structure(module, "device", "a", "b", "c", "id")
    vmlinux, driver = tmp_path / "vmlinux", tmp_path / "driver"
    vmlinux.write_bytes(elf(base.encode(), byte_order="big", machine=22))
    driver.write_bytes(module.build().encode())
    return str(vmlinux), str(driver)


def test_what_the_kernel_has_is_found_in_its_vmlinux(files: tuple[str, str]) -> None:
    fitted = fit(asks_for_offset("task", "pid"), facts_of_files(files[:1]))
    assert fitted.program.instructions[0].imm == 4
    assert not fitted.unresolved


def test_what_a_module_has_is_found_if_it_is_named_too(files: tuple[str, str]) -> None:
    assert fit(asks_for_offset("device", "id"), facts_of_files(files)).program.instructions[0].imm == 12
    assert 0 in fit(asks_for_offset("device", "id"), facts_of_files(files[:1])).unresolved


def test_a_module_needs_its_kernel_first(files: tuple[str, str]) -> None:
    with pytest.raises(BtfError, match=r"driver: .*cannot be read without them"):
        facts_of_files(files[1:])
    with pytest.raises(RequestError):
        facts_of_files(())


def test_the_types_of_an_object_do_as_well() -> None:
    place = Path(__file__).parents[1] / "btf" / "relocation" / "kernel.bpf.o"
    assert isinstance(facts_of_files([str(place)]).types(), Btf)


def test_a_folder_stands_for_the_kernel_and_its_modules(files: tuple[str, str], tmp_path: Path) -> None:
    asked = asks_for_offset("device", "id")
    assert fit(asked, facts_of_files([str(tmp_path)])).program.instructions[0].imm == 12
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    (alone / "driver").write_bytes(Path(files[1]).read_bytes())
    with pytest.raises(RequestError, match="no file vmlinux"):
        facts_of_files([str(alone)])
    assert fit(asked, facts_of_files([files[0], str(alone)])).program.instructions[0].imm == 12


def test_modules_in_a_folder_are_read_when_a_program_asks(files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"nothing")
    facts = facts_of_files([str(tmp_path)])
    assert fit(asks_for_offset("task", "pid"), facts).program.instructions[0].imm == 4
    with pytest.raises(BtfError, match="broken"):
        facts.modules()
