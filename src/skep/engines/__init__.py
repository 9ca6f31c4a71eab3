"""Engines: one program, one meaning, several ways to run it.

An :class:`Engine` turns a :class:`~skep.objects.spec.ProgramSpec` and a :class:`Binding` into something
that runs (:class:`Loaded`). ``interpreter`` is the reference: it checks every access and can be stepped;
``jit`` compiles with LLVM; ``kernel`` hands the program to Linux. Registers hold real addresses of this
process in the first two, so all they share is the memory behind the binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast

from skep.errors import RequestError
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec

if TYPE_CHECKING:
    from skep.maps import Map
    from skep.memory import AddressSpace

#: The engines by name, each as module and class; imported when first asked for, because LLVM is slow to import.
ENGINES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "interpreter": ("skep.engines.interpreter", "Interpreter"),
        "jit": ("skep.engines.jit", "Jit"),
        "kernel": ("skep.engines.kernel", "Kernel"),
    }
)


@dataclass(frozen=True, slots=True)
class Binding:
    """What the names of a spec stand for on one machine.

    ``space`` knows every region of memory that the program may reach. ``type`` is the program type to run as
    (that of the spec where it is known, else what the user asked for). ``maps`` has the live map for every name in
    ``spec.maps``. ``tails`` has, for each program array by map name, the programs in it by index: the mapping is
    live, a tail call sees what it holds at that moment, and what it holds was loaded by the same engine. Whoever
    fills it also stores :attr:`Loaded.address` in the array's element, where compiled code finds it. ``unresolved``
    says, by slot, what of the program the kernel that it was fitted to does not have: who gets there is stopped.
    """

    space: AddressSpace
    type: ProgramType = ProgramType.RAW
    maps: Mapping[str, Map] = field(default_factory=lambda: MappingProxyType({}))
    tails: Mapping[str, Mapping[int, Loaded]] = field(default_factory=lambda: MappingProxyType({}))
    unresolved: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


class Loaded(Protocol):
    """A program that is ready to run. It may run on several CPUs at once, each with its own ``cpu``."""

    @property
    def spec(self) -> ProgramSpec:
        """What it was loaded from."""

    @property
    def address(self) -> int:
        """The native entry point, ``i64 (ptr r1, i64 r2, ptr cpu)``; 0 where the engine has none."""

    def run(self, r1: int, r2: int, cpu: int) -> int:
        """Run once from the first instruction and return r0, 64 bits unsigned.

        ``r1`` is the address of the context in its native layout (type ``raw``: of the memory), ``r2`` the length of
        the memory for ``raw`` and 0 otherwise, ``cpu`` the address of the :class:`skep.memory.cpu.Cpu` it runs on,
        0 if there is none (then helpers that need one cannot be called). Raises :class:`~skep.errors.Fault` where the
        engine checks and the program did what it must not.
        """

    def close(self) -> None:
        """Give back what the program holds; it cannot run afterwards. May be called twice."""


class Engine(Protocol):
    """A way to run programs; an instance carries the engine's own options and may load many programs."""

    @property
    def name(self) -> str:
        """The name that users choose it by."""

    def load(self, spec: ProgramSpec, binding: Binding) -> Loaded:
        """Make ``spec`` ready to run; raises LoadError, UnsupportedError or (damaged instructions) EncodingError."""


def engine(name: str) -> Engine:
    """The engine called ``name`` with its default options; raises RequestError for a name that is not in ENGINES."""
    try:
        module, attribute = ENGINES[name]
    except KeyError:
        raise RequestError(f"there is no engine {name!r}; the engines are {', '.join(ENGINES)}") from None
    return cast(Engine, getattr(import_module(module), attribute)())


__all__ = ["ENGINES", "Binding", "Engine", "Loaded", "engine"]
