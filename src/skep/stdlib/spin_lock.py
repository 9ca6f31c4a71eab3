"""``bpf_spin_lock`` and ``bpf_spin_unlock``: the lock that the architecture's row names.

The fast path is inlined into the program, the slow path stays a call.
"""

from __future__ import annotations

from typing import Any

from skep.lang import Function
from skep.locks import lock_for
from skep.stdlib.registry import CallSite, implements


@implements("bpf_spin_lock")
def spin_lock(site: CallSite) -> Function[..., Any]:
    """Take the lock: ``(cpu, lock)``."""
    return lock_for(site.arch).lock


@implements("bpf_spin_unlock")
def spin_unlock(site: CallSite) -> Function[..., Any]:
    """Give it back: ``(lock)``."""
    return lock_for(site.arch).unlock
