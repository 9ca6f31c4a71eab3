"""What a process is told that may not use bpf(2), or not for this: one sentence that names what is missing.

Each case runs in a child that gives up all capabilities but some before it asks.
"""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from skep.engines.kernel import syscall
from skep.engines.kernel.attributes import Command, MapCreate
from skep.engines.kernel.rights import CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, unprivileged_bpf_disabled
from skep.errors import KernelError

_CHILD = """
import ctypes, struct, sys
keep = sum(1 << int(number) for number in sys.argv[1].split())
header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
low, high = keep & 0xFFFFFFFF, keep >> 32
data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0))
from skep.engines.kernel import Kernel, KernelMap, KernelProgram, loaded_ids
from skep.errors import KernelError
from skep.objects import MapSpec, MapType, ProgramType
assert ctypes.CDLL(None).capset(header, data) == 0
code = bytes.fromhex("b7000000000000009500000000000000")
try:
    eval(sys.argv[2])
    print("done")
except KernelError as error:
    print(error.errno, error)
"""


def ask(request: str, *capabilities: int) -> str:
    """What the request answers in a process that has these capabilities alone."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, " ".join(map(str, capabilities)), request],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.usefixtures("bpf")
@pytest.mark.skipif(not unprivileged_bpf_disabled(), reason="anyone may use bpf(2) here")
def test_without_any_right_the_capability_and_the_setting_are_named() -> None:
    assert ask("KernelProgram.load(ProgramType.SOCKET_FILTER, code)") == (
        f"{errno.EPERM} loading a program of type socket_filter: this process lacks CAP_BPF, because "
        f"kernel.unprivileged_bpf_disabled is {unprivileged_bpf_disabled()}; run as root or grant it CAP_BPF"
    )
    assert "creating map 'm' (hash): this process lacks CAP_BPF" in ask(
        "KernelMap.create(MapSpec('m', MapType.HASH, 4, 4, 1))"
    )


@pytest.mark.usefixtures("bpf")
@pytest.mark.parametrize(
    ("request_it", "missing"),
    [
        ("KernelProgram.load(ProgramType.XDP, code)", "CAP_NET_ADMIN, which programs of type xdp need"),
        ("KernelProgram.load(ProgramType.KPROBE, code)", "CAP_PERFMON, which programs of type kprobe need"),
        (
            "KernelMap.create(MapSpec('m', MapType.DEVMAP, 4, 4, 1))",
            "CAP_NET_ADMIN, which maps of type devmap need",
        ),
        ("list(loaded_ids('program'))", "CAP_SYS_ADMIN, which looking at what others have loaded needs"),
        ("KernelMap.open_id(1)", "CAP_SYS_ADMIN, which looking at what others have loaded needs"),
    ],
)
def test_beside_cap_bpf_the_other_capability_is_named(request_it: str, missing: str) -> None:
    assert f"this process lacks {missing}" in ask(request_it, CAP_BPF)


@pytest.mark.usefixtures("bpf")
def test_the_three_capabilities_are_enough_to_load_and_run() -> None:
    request = "KernelProgram.load(ProgramType.XDP, code).run(bytes(64))"
    assert ask(request, CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON) == "done"


@pytest.mark.usefixtures("bpf")
def test_a_process_without_standard_streams_gets_other_descriptors() -> None:
    request = "(__import__('os').close(0), print(KernelProgram.load(ProgramType.XDP, code).fileno() > 2))"
    assert ask(request, CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON) == "True\ndone"


@pytest.fixture
def fresh_call() -> None:
    syscall.bpf_function.cache_clear()


@pytest.mark.usefixtures("fresh_call")
def test_another_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(KernelError, match="needs Linux, and this system is Darwin; use the interpreter or the JIT"):
        syscall.attempt(Command.MAP_CREATE, MapCreate())


@pytest.mark.usefixtures("fresh_call")
def test_an_unknown_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(KernelError, match="the number of bpf\\(2\\) on pdp11 is not known"):
        syscall.attempt(Command.MAP_CREATE, MapCreate())


def test_a_kernel_without_bpf_says_how_it_was_built() -> None:
    assert "CONFIG_BPF_SYSCALL" in str(syscall.refusal(errno.ENOSYS, "loading"))
