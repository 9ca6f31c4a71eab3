"""Helpers: what each takes and returns (``prototypes``), and what it does (one module a family).

:func:`implementation` gives the function that implements a helper for a call site; see :mod:`skep.stdlib.registry`.
"""

from __future__ import annotations

from skep.stdlib.registry import CallSite, implementation, implemented, implements

__all__ = ["CallSite", "implementation", "implemented", "implements"]
