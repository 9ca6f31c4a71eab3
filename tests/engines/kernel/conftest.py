"""What the kernel's tests share: they skip where bpf(2) cannot be used, and they leave nothing open."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from skep.engines.kernel import KernelProgram
from skep.errors import KernelError
from skep.isa import Instruction
from skep.objects import ProgramType

RETURN_2 = (Instruction(0xB7, imm=2), Instruction(0x95))


def _why_not() -> str:
    """Why programs cannot be loaded here, empty if they can."""
    try:
        KernelProgram.load(ProgramType.XDP, RETURN_2).close()
    except KernelError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def bpf() -> None:
    """Skips the test where this process may not use bpf(2)."""
    if why := _why_not():
        pytest.skip(f"bpf(2) cannot be used here: {why}")


def open_descriptors() -> set[str]:
    """The open file descriptors of this process and what they refer to, those of BPF objects alone."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if "bpf" in target or "btf" in target:
            found.add(f"{name} {target}")
    return found


@pytest.fixture
def nothing_left(bpf: None) -> Iterator[None]:
    """Fails the test if it leaves a BPF object open: every handle is closed by its owner, not by chance."""
    gc.collect()
    before = open_descriptors()
    # With the collector off, a handle that only the collector would find stays open and is seen.
    gc.disable()
    try:
        yield
        left = open_descriptors() - before
    finally:
        gc.enable()
    assert left == set()
