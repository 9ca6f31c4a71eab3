"""Programs that depend on the kernel's types, configuration and symbols: fitted to this one, and as bpftool fits
them.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skep.engines.kernel import Kernel, KernelMap, KernelProgram
from skep.engines.kernel.kconfig import kernel_config, kernel_version
from skep.engines.kernel.system_types import kernel_btf
from skep.errors import KernelError
from skep.isa import decode
from skep.objects import Spec
from skep.objects import open as open_object

pytestmark = pytest.mark.usefixtures("nothing_left")

OBJECT = Path(__file__).parent / "objects" / "kernel_types.bpf.o"
CONTEXT = bytes(64)


@pytest.fixture(scope="module")
def spec(bpf: None) -> Spec:
    try:
        kernel_btf()
        kernel_config()
    except KernelError as error:
        pytest.skip(str(error))
    return open_object(OBJECT)


def answers(map: KernelMap) -> list[int]:
    value = map.lookup(bytes(4))
    assert value is not None
    return list(struct.unpack("=48Q", value))


def test_types_of_the_running_kernel_are_met(spec: Spec) -> None:
    btf = kernel_btf()
    task, buffer = btf.find("task_struct"), btf.find("sk_buff")
    assert task
    assert buffer
    pid, length = btf.member(task, "pid"), btf.member(buffer, "len")
    assert pid
    assert length
    with Kernel().load(spec["ask_types"]) as loaded:
        loaded.run(context=CONTEXT)
        found = answers(loaded.maps[".bss"])
    assert found[0] == found[10] == pid.bit_offset // 8
    assert found[12] == length.bit_offset // 8
    assert found[2] == 16
    assert (found[3], found[9], found[15], found[16], found[20]) == (1, 0, 0, 1, 0)
    assert found[17] == btf.size_of(task)
    assert found[19] == buffer
    assert (found[22], found[23]) == (2, 0)


def test_the_configuration_of_the_running_kernel_is_told(spec: Spec) -> None:
    options = kernel_config()
    with Kernel().load(spec["ask_settings"]) as loaded:
        loaded.run(context=CONTEXT)
        found = answers(loaded.maps[".bss"])[32:]
    assert found[:4] == [kernel_version(), 1, {"y": 1, "m": 2}[options["CONFIG_NET"]], ord("y")]
    assert found[4] == int(options["CONFIG_HZ"])
    assert found[5] == int(options["CONFIG_LOG_BUF_SHIFT"])
    assert found[6] == ord(options["CONFIG_DEFAULT_HOSTNAME"][1])
    assert found[7] == 0
    assert found[10] >> 63
    assert found[11] == 0


def test_functions_of_the_kernel_are_called_where_they_are_there(spec: Spec) -> None:
    functions = open_object(OBJECT.with_name("kernel_functions.bpf.o"))
    with Kernel().load(functions["call_what_is_there"]) as loaded:
        assert loaded.run(bytes(64)).retval == 3
        assert loaded.program.information().btf_id


def test_what_is_reached_and_not_there_is_named(spec: Spec) -> None:
    path = OBJECT.with_name("not_there.bpf.o")
    with pytest.raises(KernelError) as caught:
        Kernel().load(open_object(path)["reaches_what_is_not_there"])
    assert str(caught.value).startswith(
        f"{path}: program 'reaches_what_is_not_there' cannot run on this kernel: it reaches a CO-RE relocation "
        "(instruction 0, ./not_there.bpf.c:11)"
    )
    assert "offset of struct never_was.nothing: the kernel's types do not have it" in str(caught.value)
    assert "unknown#195896080" in caught.value.log


@pytest.fixture
def loaded_by_bpftool(tmp_path: Path, spec: Spec) -> Iterator[Path]:
    """The programs of the object as bpftool has loaded them, pinned by name."""
    if not shutil.which("bpftool"):
        pytest.skip("bpftool is not installed")
    place = tmp_path / "pins"
    place.mkdir()
    if subprocess.run(["mount", "-t", "bpf", "bpf", str(place)], capture_output=True, check=False).returncode:
        pytest.skip("a BPF file system cannot be mounted here")
    try:
        subprocess.run(
            ["bpftool", "prog", "loadall", str(OBJECT), str(place / "it")], check=True, capture_output=True
        )
        yield place / "it"
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["ask_types", "ask_settings"])
def test_the_program_is_the_one_that_bpftool_loads(name: str, spec: Spec, loaded_by_bpftool: Path) -> None:
    with Kernel().load(spec[name]) as ours, KernelProgram.open_pinned(str(loaded_by_bpftool / name)) as theirs:
        ours.run(context=CONTEXT)
        theirs.run(context=CONTEXT)
        told = theirs.information()
        assert without_maps(ours.program.information().translated) == without_maps(told.translated)
        maps = [KernelMap.open_id(identity) for identity in told.map_ids]
        data = {each.spec.name.partition(".")[2]: each for each in maps}
        mine, reference = answers(ours.maps[".bss"]), answers(data["bss"])
        for each in maps:
            each.close()
    # The reference loader tries a kprobe to see how system calls are named, and takes a kernel without kprobes for
    # one that does not wrap them.
    mine[41] = reference[41]
    assert mine == reference


def without_maps(code: bytes) -> list[object]:
    """The instructions, without the ids of maps in wide loads of them."""
    return [each if each.opcode != 0x18 or each.src not in (1, 2) else "map" for each in decode(code)]
