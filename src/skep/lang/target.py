"""What code is made for: a processor, and what the language needs to know about it.

One row a target. ``relax`` is the intrinsic that tells a spinning processor to rest. Where LLVM has none that every
processor of the architecture knows, the hint is nothing: assembly text will not do, since this LLVM reads it for the
host alone and ends the process over it elsewhere. ``wide_multiply`` says whether 128-bit products can be selected.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table: ``arch`` is the name that ``target_is`` compares with, ``triple`` what LLVM calls it."""

    arch: str
    triple: str
    relax: str | None = None
    pointer_bits: int = 64
    wide_multiply: bool = True
    little_endian: bool = True

    @property
    def is_bpf(self) -> bool:
        """Whether the code is BPF instructions rather than a processor's."""
        return self.arch == "bpf"


BPF = Target("bpf", "bpfel", wide_multiply=False)

TARGETS: Mapping[str, Target] = {
    row.arch: row
    for row in (
        BPF,
        Target("x86_64", "x86_64-unknown-linux-gnu", "call void @llvm.x86.sse2.pause()"),
        Target("aarch64", "aarch64-unknown-linux-gnu", "call void @llvm.aarch64.hint(i32 1)"),
        Target(
            "arm",
            "armv7-unknown-linux-gnueabihf",
            "call void @llvm.arm.hint(i32 1)",
            pointer_bits=32,
            wide_multiply=False,
        ),
        Target("riscv64", "riscv64-unknown-linux-gnu"),
        Target("ppc64le", "powerpc64le-unknown-linux-gnu"),
        Target("s390x", "s390x-unknown-linux-gnu", little_endian=False),
        Target("loongarch64", "loongarch64-unknown-linux-gnu"),
    )
}

_MACHINES = {"AMD64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64", "armv7l": "arm", "armv8l": "arm"}


def _host() -> Target:
    machine = platform.machine()
    arch = _MACHINES.get(machine, machine)
    return TARGETS.get(arch, Target(arch, ""))


#: The machine that this process runs on.
HOST = _host()
