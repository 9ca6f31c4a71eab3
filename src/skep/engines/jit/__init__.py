"""The JIT: BPF to LLVM IR to machine code of this host."""

from __future__ import annotations

from skep.engines.jit.engine import Jit, JitLoaded

__all__ = ["Jit", "JitLoaded"]
