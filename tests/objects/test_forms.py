"""Objects in every way that people write them: they are read, and each program gets a verdict, as Linux gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from skep.engines.kernel import Kernel
from skep.engines.kernel.running import RUNNING_KERNEL
from skep.engines.kernel.system_types import kernel_btf
from skep.errors import KernelError, LoadError
from skep.objects import AttachType, MapType, ProgramType
from skep.objects import open as open_object
from skep.objects.fitting import fit
from skep.verifier import verify
from tests.fuzz.conftest import needs_kernel

FOLDER = Path(__file__).parents[1] / "data" / "forms"
NAMES = sorted(path.name for path in FOLDER.glob("*.bpf.o"))


@pytest.fixture(scope="module", autouse=True)
def _types() -> None:
    try:
        kernel_btf()
    except KernelError as error:
        pytest.skip(f"the programs cannot be fitted to a kernel: {error}")


@pytest.mark.parametrize("name", NAMES)
def test_every_program_gets_a_verdict(name: str) -> None:
    spec = open_object(FOLDER / name)
    assert spec.programs
    for program in spec.programs.values():
        assert program.type is not None
        # Whatever it is, it is no error of the input.
        assert verify(fit(program, RUNNING_KERNEL).program).verdict in ("accept", "reject", "unsupported")


@needs_kernel
@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_is_that_of_linux(name: str) -> None:
    for program in open_object(FOLDER / name).programs.values():
        report = verify(fit(program, RUNNING_KERNEL).program)
        try:
            verdict = Kernel().verdict(program, log_level=4)
        except (KernelError, LoadError):
            # A type that this kernel or its sandbox does not take, or a program that no table holds.
            continue
        if report.verdict != "unsupported":
            said = ("accept" if verdict.accepted else "reject", verdict.lines[-1] if verdict.lines else "")
            assert (program.name, report.verdict, report.message) == (program.name, *said)


@pytest.mark.parametrize(
    ("name", "type", "attach", "target", "sleepable", "autoload"),
    [
        ("tc_optional", ProgramType.SCHED_CLS, None, None, False, False),
        ("migrate", ProgramType.SK_REUSEPORT, AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE, None, False, True),
        ("kprobe1", ProgramType.KPROBE, None, "do_unlinkat", False, True),
        ("kprobe2", ProgramType.KPROBE, None, None, False, True),
        ("kprobe_session", ProgramType.KPROBE, AttachType.TRACE_KPROBE_SESSION, "tcp_*", False, True),
        ("uprobe_multi_sleepable", ProgramType.KPROBE, AttachType.TRACE_UPROBE_MULTI, "/bin/true:ma*", True, True),
        ("usdt1", ProgramType.KPROBE, None, "libc.so.6:libc:setjmp", False, True),
        ("classifier_named", ProgramType.SCHED_CLS, None, None, False, True),
        ("tcx_egress", ProgramType.SCHED_CLS, AttachType.TCX_EGRESS, None, False, True),
        ("netkit_peer", ProgramType.SCHED_CLS, AttachType.NETKIT_PEER, None, False, True),
        ("raw_tp_writable", ProgramType.RAW_TRACEPOINT_WRITABLE, None, "nbd_send_request", False, True),
        ("lsm_cgroup1", ProgramType.LSM, AttachType.LSM_CGROUP, "socket_bind", False, True),
        ("iter_sleepable", ProgramType.TRACING, AttachType.TRACE_ITER, "task", True, True),
        ("for_devmap", ProgramType.XDP, AttachType.XDP_DEVMAP, None, False, True),
        ("xdp_devmap_old", ProgramType.XDP, AttachType.XDP_DEVMAP, "map", False, True),
        ("xdp_cpumap_old", ProgramType.XDP, AttachType.XDP_CPUMAP, None, False, True),
        ("xdp_named", ProgramType.XDP, AttachType.XDP, None, False, True),
        ("getpeername_unix", ProgramType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_GETPEERNAME, None, False, True),
    ],
)
def test_section_names_say_what_programs_are(
    name: str, type: ProgramType, attach: AttachType | None, target: str | None, sleepable: bool, autoload: bool
) -> None:
    program = open_object(FOLDER / "sections.bpf.o")[name]
    assert (program.type, program.attach_type, program.attach_target) == (type, attach, target)
    assert (program.sleepable, program.autoload) == (sleepable, autoload)


def test_maps_have_all_that_their_definitions_say() -> None:
    maps = open_object(FOLDER / "maps.bpf.o").maps
    assert dict(maps["by_index"].slots) == {0: "first", 3: "second"}
    assert dict(maps["stages"].slots) == {0: "stage0", 7: "stage1"}
    anonymous = maps["anonymous"].inner
    assert anonymous is not None
    assert (anonymous.type, anonymous.flags, anonymous.max_entries) == (MapType.ARRAY, 1 << 12, 1)
    assert (maps["flags"].numa_node, maps["flags"].key_size, maps["flags"].value_size) == (0, 8, 16)
    assert (maps["pinned"].pinning, maps["bloom"].map_extra, maps["bloom"].key_size) == (1, 3, 0)


def test_variables_are_where_the_object_puts_them() -> None:
    spec = open_object(FOLDER / "code.bpf.o")
    assert {spec.variables[name].map for name in ("own", "own_fixed", "own_zero")} == {
        ".data.own",
        ".rodata.own",
        ".bss.own",
    }
    assert spec.kernel_version == 0x060000
    arena = open_object(FOLDER / "arena.bpf.o")
    assert arena.maps["arena"].contents is not None
