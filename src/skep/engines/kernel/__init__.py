"""The running kernel, through bpf(2) alone: load a program, test-run it, look at its maps. Nothing is attached."""

from skep.engines.kernel.engine import BoundProgram, Kernel, LoadedObject, LoadedProgram
from skep.engines.kernel.information import (
    BtfInformation,
    LinkInformation,
    MapInformation,
    ProgramInformation,
    loaded_ids,
)
from skep.engines.kernel.maps import KernelMap
from skep.engines.kernel.programs import KernelProgram, RunResult
from skep.engines.kernel.rights import missing_right
from skep.engines.kernel.types import KernelBtf
from skep.engines.kernel.verdict import Verdict

__all__ = [
    "BoundProgram",
    "BtfInformation",
    "Kernel",
    "KernelBtf",
    "KernelMap",
    "KernelProgram",
    "LinkInformation",
    "LoadedObject",
    "LoadedProgram",
    "MapInformation",
    "ProgramInformation",
    "RunResult",
    "Verdict",
    "loaded_ids",
    "missing_right",
]
