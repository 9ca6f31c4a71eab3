"""BTF printed as C that compiles: every type after those it needs, as ``bpftool btf dump ... format c`` does.

A type that is used by value has to be defined first; behind a pointer a struct only has to be declared. So a type is
asked for in two ways, *named* and *complete*, and a struct that is only named gets a forward declaration.
"""

from __future__ import annotations

from collections.abc import Iterable

from skep.btf.btf import Btf
from skep.btf.c_types import CTypes
from skep.btf.kinds import Kind
from skep.btf.types import (
    Array,
    Composite,
    Enumeration,
    Forward,
    Function,
    FunctionPrototype,
    Modifier,
    Pointer,
    Struct,
    Type,
    Typedef,
)
from skep.errors import BtfError

_MAX_DEPTH = 120
#: Typedefs that every compiler brings along, differently on each architecture.
_BUILT_IN = ("__builtin_va_list",)
_DEFINED_KINDS = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF)


def dump_c(btf: Btf, type_ids: Iterable[int] | None = None) -> str:
    """C definitions of those types and of all that they need; with None, of everything that has a definition."""
    dump = _Dump(btf)
    if type_ids is None:
        used = _used_enumerations(btf)
        for type_id in range(1, len(btf)):
            if btf.kind(type_id) not in _DEFINED_KINDS:
                continue
            if btf[type_id].name:
                dump.complete(type_id, 0)
            elif btf.kind(type_id) in (Kind.ENUM, Kind.ENUM64) and type_id not in used:
                dump.define(type_id, 0)
    else:
        for type_id in type_ids:
            dump.complete(type_id, 0)
    return "".join(f"{text}\n\n" for text in dump.texts)


def _used_enumerations(btf: Btf) -> set[int]:
    """Enumerations without a name that are written where something uses them, rather than on their own."""
    targets: set[int] = set()
    for type in btf:
        match type:
            case Modifier() | Pointer():
                targets.add(type.target)
            case Array():
                targets.add(type.element)
            case Composite():
                targets.update(member.type for member in type.members)
            case FunctionPrototype():
                targets.add(type.result)
                targets.update(parameter.type for parameter in type.parameters)
    return {type_id for type_id in targets if btf.kind(type_id) in (Kind.ENUM, Kind.ENUM64)}


class _Dump:
    """Collects definitions in an order that compiles."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.types = CTypes(btf)
        self.texts: list[str] = []
        self._declared: set[str] = set()
        self._done: set[int] = set()
        self._busy: set[int] = set()

    def named(self, type_id: int, depth: int) -> None:
        """Make sure that the type can stand behind a pointer."""
        type = self._type(type_id, depth)
        match type:
            case Typedef():
                self.define(type_id, depth)
            case Composite() if type.name:
                self._declare(f"{'struct' if isinstance(type, Struct) else 'union'} {self.types.names.of(type_id)};")
            case Forward():
                self._declare(f"{self.types.specifier(type_id, type, depth)};")
            case Modifier() | Pointer():
                self.named(type.target, depth + 1)
            case _:
                self.complete(type_id, depth + 1)

    def complete(self, type_id: int, depth: int) -> None:
        """Make sure that the type can be used by value."""
        type = self._type(type_id, depth)
        match type:
            case Typedef():
                self.define(type_id, depth)
                self.complete(type.target, depth + 1)
            case Composite() if not type.name:
                self._members(type, depth)
            case Composite():
                self.define(type_id, depth)
            case Enumeration() if type.name:
                self.define(type_id, depth)
            case Pointer():
                self.named(type.target, depth + 1)
            case Modifier():
                self.complete(type.target, depth + 1)
            case Array():
                self.complete(type.element, depth + 1)
            case Forward():
                self.named(type_id, depth + 1)
            case FunctionPrototype():
                self.named(type.result, depth + 1)
                for parameter in type.parameters:
                    self.named(parameter.type, depth + 1)
            case Function():
                self.complete(type.prototype, depth + 1)

    def define(self, type_id: int, depth: int) -> None:
        """Write the definition of a type, behind those of the types that it needs."""
        if type_id in self._done:
            return
        if type_id in self._busy:
            raise BtfError(f"type {type_id} contains itself; the data is damaged")
        self._busy.add(type_id)
        type = self.btf[type_id]
        if isinstance(type, Typedef):
            self.named(type.target, depth + 1)
        elif isinstance(type, Composite):
            self._members(type, depth)
        self._busy.discard(type_id)
        self._done.add(type_id)
        if type.name not in _BUILT_IN:
            self.texts.append(self.types.definition(type_id))

    def _members(self, type: Composite, depth: int) -> None:
        for member in type.members:
            self.complete(member.type, depth + 1)

    def _declare(self, text: str) -> None:
        if text not in self._declared:
            self._declared.add(text)
            self.texts.append(text)

    def _type(self, type_id: int, depth: int) -> Type:
        if depth > _MAX_DEPTH:
            raise BtfError(f"type {type_id} is nested over {_MAX_DEPTH} deep; the data is damaged")
        return self.btf[type_id]
