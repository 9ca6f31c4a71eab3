"""The map helpers: look up, update, delete; specialised where the call site names one map.

Source of the rules: ``bpf-helpers(7)`` and the functions of each map type in :mod:`skep.maps`.
"""

from __future__ import annotations

from typing import Any

from skep.lang import Function
from skep.locks import lock_for
from skep.maps import functions
from skep.stdlib.registry import CallSite, implements


@implements("bpf_map_lookup_elem")
def map_lookup_elem(site: CallSite) -> Function[..., Any]:
    """The address of the value of a key, or null."""
    return functions.lookup_any if site.map is None else functions.lookup_function(site.map)


@implements("bpf_map_update_elem")
def map_update_elem(site: CallSite) -> Function[..., Any]:
    """Store a value: 0, -EINVAL (flags), -EEXIST, -ENOENT or -E2BIG."""
    if site.map is not None:
        return functions.update_function(site.map, site.arch)
    lock = lock_for(site.arch)
    return functions.update_any.specialise(acquire=lock.lock_outside, release=lock.unlock)


@implements("bpf_map_delete_elem")
def map_delete_elem(site: CallSite) -> Function[..., Any]:
    """Remove a key: 0, -ENOENT, or -EINVAL from maps whose entries stay."""
    return functions.delete_any if site.map is None else functions.delete_function(site.map)
