"""Put switches together again that clang's BPF back end took apart into trees of comparisons."""

from __future__ import annotations

from skep.engines.jit.graph import Function
from skep.isa.instruction import Instructions


def recover_switches(function: Function, instructions: Instructions) -> bool:
    """Change ``function``; whether anything changed."""
    return False
