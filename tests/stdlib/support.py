"""Calling helpers as an engine does: what a function's leading parameters ask for, then the arguments."""

from __future__ import annotations

import ctypes
from typing import Any

from skep.maps import Map
from skep.memory import CpuBlock
from skep.stdlib import CallSite, implementation
from skep.stdlib.prototypes import number


def call(helper: str, *arguments: Any, cpus: CpuBlock | None = None, cpu: int = 0, map: Map | None = None) -> int:
    """The result of a helper called with these arguments; ``map`` is one that the call site knows."""
    function = implementation(number(helper), CallSite(map=None if map is None else map.spec))
    block = cpus or CpuBlock(1)
    given = {"cpu": block.address(cpu), "values": map.values_address if map else None}
    names = [name for name, _ in function.parameters]
    leading = [given[name] for name in names[:2] if name in given]
    result: int = function(*leading, *arguments)
    return result


def memory(data: bytes) -> Any:
    """Memory that holds ``data`` and nothing behind it."""
    return ctypes.create_string_buffer(data, len(data))
