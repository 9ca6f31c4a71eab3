"""Object files as data: what clang built, read into a `Spec` without a kernel."""

from skep.objects.globals import with_global
from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.objects.reader import open, read
from skep.objects.spec import (
    FunctionReference,
    FunctionSpec,
    GlobalVariable,
    KfuncReference,
    KsymReference,
    MapReference,
    MapSpec,
    ProgramSpec,
    Reference,
    SourceLine,
    Spec,
)

__all__ = [
    "AttachType",
    "FunctionReference",
    "FunctionSpec",
    "GlobalVariable",
    "KfuncReference",
    "KsymReference",
    "MapReference",
    "MapSpec",
    "MapType",
    "ProgramSpec",
    "ProgramType",
    "Reference",
    "SourceLine",
    "Spec",
    "open",
    "read",
    "with_global",
]
