"""The interpreter: the reference engine, which checks every access and can be stepped, watched and interleaved."""

from __future__ import annotations

from skep.engines.interpreter.engine import DEFAULT_BUDGET, InterpretedProgram, Interpreter
from skep.engines.interpreter.execution import MAX_TURNS, Execution
from skep.engines.interpreter.hooks import (
    Access,
    AccessKind,
    AccessTrace,
    Breakpoints,
    Coverage,
    Hook,
    Trace,
    next_access,
)

__all__ = [
    "DEFAULT_BUDGET",
    "MAX_TURNS",
    "Access",
    "AccessKind",
    "AccessTrace",
    "Breakpoints",
    "Coverage",
    "Execution",
    "Hook",
    "InterpretedProgram",
    "Interpreter",
    "Trace",
    "next_access",
]
