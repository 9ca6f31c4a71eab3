"""Which function implements a helper: one for all architectures, or another where an architecture has a better one.

A family registers each helper with :func:`implements`, naming it as the kernel does. What is registered is a
function of the language, or a *choice*: a Python function from a :class:`CallSite` to one, for helpers that are
specialised to what the call site knows. To give an architecture its own, decorate one more function with ``arch=``;
nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

from skep.errors import UnsupportedError
from skep.lang import Function
from skep.lang.target import HOST
from skep.objects.kinds import ProgramType
from skep.objects.spec import MapSpec
from skep.stdlib.prototypes import name, number

#: The modules that register helpers, one a family.
FAMILIES = (
    "maps",
    "tail_call",
    "time",
    "cpu",
    "random",
    "printk",
    "spin_lock",
    "loop",
    "strings",
    "skb",
    "skb_room",
    "vlan",
    "checksum",
    "xdp",
    "redirect",
)


@dataclass(frozen=True, slots=True)
class CallSite:
    """What is known where a helper is called.

    ``arch`` is the machine that the code is for, ``map`` the map if the instruction always names the same one, and
    ``constants`` the arguments (counted from 1) that are always the same.
    """

    program_type: ProgramType = ProgramType.RAW
    arch: str = HOST.arch
    map: MapSpec | None = None
    constants: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))


#: A function of the language from what a call site knows.
Choice = Callable[[CallSite], Function[..., Any]]

_Registered = TypeVar("_Registered", bound="Function[..., Any] | Choice")

_implementations: dict[tuple[int, str | None], Function[..., Any] | Choice] = {}
_loaded = False


def implements(helper: str, *, arch: str | None = None) -> Callable[[_Registered], _Registered]:
    """Register what follows as ``helper`` (``"bpf_spin_lock"``), for one architecture if ``arch`` is given.

    The later of two registrations for the same helper and architecture counts, so that a user can replace any.
    """
    key = number(helper), arch

    def register(implementation: _Registered) -> _Registered:
        _implementations[key] = implementation
        return implementation

    return register


def implementation(helper: int, site: CallSite) -> Function[..., Any]:
    """The function that implements helper number ``helper`` for a call site; raises UnsupportedError if none does."""
    _load()
    found = _implementations.get((helper, site.arch)) or _implementations.get((helper, None))
    if found is None:
        called = name(helper)
        shown = f"the helper bpf_{called} ({helper})" if called is not None else f"helper number {helper}"
        raise UnsupportedError(f"{shown} has no implementation; remove the call, or register one with skep.stdlib")
    return found if isinstance(found, Function) else found(site)


def implemented() -> frozenset[int]:
    """The numbers of all helpers that have an implementation for every architecture."""
    _load()
    return frozenset(helper for helper, arch in _implementations if arch is None)


def foreign() -> frozenset[int]:
    """The numbers of helpers that something outside skep has registered so far: their code is nobody's to keep."""
    return frozenset(helper for (helper, _), one in _implementations.items() if not _is_own(one))


def _is_own(registered: Function[..., Any] | Choice) -> bool:
    written = registered.python if isinstance(registered, Function) else registered
    return (written.__module__ or "").startswith("skep.")


def _load() -> None:
    global _loaded
    if not _loaded:
        _loaded = True
        earlier = dict(_implementations)
        for family in FAMILIES:
            import_module(f"skep.stdlib.{family}")
        # What a user registered before the families were needed replaces theirs all the same.
        _implementations.update(earlier)
