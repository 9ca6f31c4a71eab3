"""Raw programs in the kernel: memory in, memory and 64 bits out, and the public conformance files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skep.engines import Binding, engine
from skep.engines.conformance import cases, run_bytes, run_case
from skep.engines.kernel import Kernel
from skep.errors import KernelError, UnsupportedError
from skep.isa import assemble
from skep.memory import AddressSpace
from skep.objects import MapSpec, MapType, ProgramSpec, ProgramType

pytestmark = pytest.mark.usefixtures("nothing_left")

#: The conformance files that the kernel's verifier refuses, and how it says so.
REFUSED = {
    "arsh32-imm-high": "invalid shift",
    "arsh32-imm-neg": "invalid shift",
    "arsh64-imm-high": "invalid shift",
    "arsh64-imm-neg": "invalid shift",
    "lsh32-imm-high": "invalid shift",
    "lsh32-imm-neg": "invalid shift",
    "lsh64-imm-high": "invalid shift",
    "lsh64-imm-neg": "invalid shift",
    "rsh32-imm-high": "invalid shift",
    "rsh32-imm-neg": "invalid shift",
    "rsh64-imm-high": "invalid shift",
    "rsh64-imm-neg": "invalid shift",
    "callx": "unknown opcode 8d",
}


def raw(text: str, **rest: object) -> ProgramSpec:
    return ProgramSpec("it", "", ProgramType.RAW, assemble(text).instructions, **rest)  # type: ignore[arg-type]


def test_all_64_bits_of_the_result_come_back() -> None:
    assert run_bytes(raw("r0 = -2 ll\nexit").instructions, b"", Kernel()) == 2**64 - 2


def test_memory_is_read_and_written_in_place() -> None:
    code = raw("r0 = *(u64 *)(r1 + 1)\n*(u16 *)(r1 + 9) = r2\nexit")
    with AddressSpace() as space, Kernel().load(code, Binding(space)) as loaded:
        region = space.allocate("mem", 11)
        region.write(0, bytes(range(11)))
        assert loaded.run(region.address, 11, 0) == int.from_bytes(bytes(range(1, 9)), "little")
        assert bytes(region.read(0, 11)) == bytes(range(9)) + b"\x0b\x00"
        assert loaded.address == 0


def test_it_is_an_engine_like_the_others() -> None:
    assert run_bytes(raw("r0 = r2\nexit").instructions, bytes(5), engine("kernel")) == 5


def test_what_the_verifier_refuses_is_said_when_it_runs() -> None:
    with AddressSpace() as space, Kernel().load(raw("r0 = *(u64 *)(r1 + 1)\nexit"), Binding(space)) as loaded:
        with pytest.raises(KernelError, match=r"refused program 'it' .*: R1 invalid mem access 'scalar'"):
            loaded.run(0, 0, 0)
        with pytest.raises(
            KernelError, match="invalid access to map value, value_size=16 off=9 size=8; R1 min value"
        ):
            loaded.run_on(bytes(8))


def test_maps_of_this_process_are_not_the_kernels() -> None:
    code = raw("r0 = 0\nexit", maps={"m": MapSpec("m", MapType.ARRAY, 4, 4, 1)})
    with AddressSpace() as space, pytest.raises(UnsupportedError, match="load it without a binding"):
        Kernel().load(code, Binding(space))


def test_conformance_files_hold_in_the_kernel() -> None:
    folder = os.environ.get("SKEP_CONFORMANCE")
    if not folder:
        pytest.skip("SKEP_CONFORMANCE does not name the folder of bpf_conformance files")
    kernel = Kernel()
    outcomes = {case.name: run_case(case, kernel) for case in cases([Path(folder)])}
    refused = {name: outcome.difference for name, outcome in outcomes.items() if not outcome.passed}
    assert refused.keys() == REFUSED.keys()
    for name, reason in REFUSED.items():
        assert reason in refused[name]
