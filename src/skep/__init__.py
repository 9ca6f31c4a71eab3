"""skep: a home for BPF programs that needs neither root nor a kernel.

    import skep

    spec = skep.open("counter.bpf.o")
    with skep.Machine(cpus=4, engine="interpreter") as machine:
        program = machine.load(spec["xdp_count"])
        result = program.run(packet)

The names below are the public face; each is imported when it is first used, so that ``import skep`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.errors import SkepError
    from skep.machine import Machine, Packet, Program, Result, Runs, read_capture, write_capture
    from skep.objects import Spec, open, with_global
    from skep.verifier import verify

#: Public name to the module that defines it.
_HOMES = {
    "Machine": "skep.machine",
    "Packet": "skep.machine",
    "Program": "skep.machine",
    "Result": "skep.machine",
    "Runs": "skep.machine",
    "SkepError": "skep.errors",
    "Spec": "skep.objects",
    "open": "skep.objects",
    "read_capture": "skep.machine",
    "verify": "skep.verifier",
    "with_global": "skep.objects",
    "write_capture": "skep.machine",
}

__all__ = [
    "Machine",
    "Packet",
    "Program",
    "Result",
    "Runs",
    "SkepError",
    "Spec",
    "open",
    "read_capture",
    "verify",
    "with_global",
    "write_capture",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'skep' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
