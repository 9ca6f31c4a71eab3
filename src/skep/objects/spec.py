"""What an object file says, as data: programs, maps and their connections, before anything runs.

A *spec* is pure: reading one needs no kernel and no rights, and two reads of the same bytes are equal.
Names are resolved (a map reference names its map); addresses are not (an engine binds them when it loads).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from skep.errors import RequestError
from skep.isa.instruction import Instructions
from skep.objects.kinds import AttachType, MapType, ProgramType

if TYPE_CHECKING:
    from skep.btf import Btf, CoreRelocation


@dataclass(frozen=True, slots=True)
class MapReference:
    """A wide load of a map (``offset`` None: pseudo source 1) or of an address in its value (source 2)."""

    map: str
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """A wide load of the address of a subprogram (pseudo source 4), as callbacks are passed."""

    function: str


@dataclass(frozen=True, slots=True)
class KfuncReference:
    """A call of a kernel function by name (pseudo source 2 of a call); ``weak`` ones may be missing."""

    name: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class KsymReference:
    """A wide load of the address of a kernel variable; ``type_id`` is its type in the object's BTF, 0 if untyped."""

    name: str
    weak: bool = False
    type_id: int = 0


#: What an instruction refers to beyond its own bits, keyed in a program by the slot of the instruction.
Reference = MapReference | FunctionReference | KfuncReference | KsymReference


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the source that an instruction came from; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function inside a program: it starts at slot ``start`` and ends where the next one starts.

    ``type_id`` is its BTF FUNC, 0 where there is none. A global function is one that the kernel verifies on its own.
    """

    name: str
    start: int
    type_id: int = 0
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class MapSpec:
    """A map as its object defines it. Sizes are in bytes; ``flags`` are the kernel's BPF_F_* creation flags.

    ``contents`` is the initial value of a data section's map (``.data`` and kin: one element, key 0) or of a
    struct_ops variable, or what an arena starts with.
    ``frozen`` says that user space may not change it after creation, as for ``.rodata``.
    ``configuration`` are the values that the map ``.kconfig`` has room for, to be filled in for one kernel.
    ``slots`` are initial members of a program array or map of maps: key to the name of a program or map; in a
    struct_ops variable, byte offset of a member to the name of a program.
    """

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    key_type_id: int = 0
    value_type_id: int = 0
    contents: bytes | None = None
    frozen: bool = False
    inner: MapSpec | None = None
    slots: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    pinning: int = 0
    numa_node: int | None = None
    map_extra: int = 0
    section: str = ""
    configuration: tuple[GlobalVariable, ...] = ()
    btf: Btf | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One program: its instructions with the subprograms it needs linked behind it.

    ``functions`` starts with the program itself at slot 0. ``references``, ``lines`` and ``core_relocations`` are
    keyed by slot; ``lines`` has an entry only where a new source line starts. ``maps`` holds every map that the
    program names, by name, and those that they hold from the start. ``type`` is None where the section name says
    nothing that is known. ``autoload`` is False where it starts with ``?``: to be loaded only if asked for by name.
    ``byte_order`` is that of the machine it was built for, "little" or "big". ``siblings`` are all programs of the
    object, this one included: the members of program arrays are among them. ``tables`` are the struct_ops variables
    of the object that have it as a member. ``target_program`` is the program whose function ``attach_target`` (the
    program itself where that is None) this one replaces, as ``freplace`` does, or watches, as ``fentry`` and
    ``fexit`` may; an object does not say which that is.
    """

    name: str
    section: str
    type: ProgramType | None
    instructions: Instructions
    attach_type: AttachType | None = None
    attach_target: str | None = None
    sleepable: bool = False
    flags: int = 0
    functions: tuple[FunctionSpec, ...] = ()
    references: Mapping[int, Reference] = field(default_factory=lambda: MappingProxyType({}))
    lines: Mapping[int, SourceLine] = field(default_factory=lambda: MappingProxyType({}))
    core_relocations: Mapping[int, CoreRelocation] = field(default_factory=lambda: MappingProxyType({}))
    maps: Mapping[str, MapSpec] = field(default_factory=lambda: MappingProxyType({}))
    license: str = ""
    kernel_version: int = 0
    file: str | None = None
    btf: Btf | None = field(default=None, repr=False, compare=False)
    autoload: bool = True
    byte_order: str = sys.byteorder
    siblings: Mapping[str, ProgramSpec] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )
    tables: tuple[MapSpec, ...] = field(default=(), repr=False)
    target_program: ProgramSpec | None = field(default=None, repr=False)

    def line_of(self, slot: int) -> SourceLine | None:
        """The source line that the instruction at ``slot`` belongs to, or None without line information."""
        while slot >= 0:
            if (line := self.lines.get(slot)) is not None:
                return line
            slot -= 1
        return None


@dataclass(frozen=True, slots=True)
class GlobalVariable:
    """A variable in a data section: where its bytes lie (``map``, ``offset``, ``size`` in bytes) and its BTF type.

    ``weak`` is said of a value of the kernel's configuration that may be missing.
    """

    name: str
    map: str
    offset: int
    size: int
    type_id: int = 0
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """All that one object file defines. ``spec["name"]`` is a program; ``byte_order`` is "little" or "big"."""

    file: str
    programs: Mapping[str, ProgramSpec]
    maps: Mapping[str, MapSpec]
    variables: Mapping[str, GlobalVariable]
    license: str = ""
    kernel_version: int = 0
    byte_order: str = "little"
    btf: Btf | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> ProgramSpec:
        """The program of that name. Raises `RequestError`, with the names that there are."""
        if (program := self.programs.get(name)) is not None:
            return program
        names = ", ".join([*self.programs][:20]) or "none"
        raise RequestError(f"there is no program {name!r}; there are {names}", file=self.file)
