"""BTF cut down to what some programs ask of it: a few kilobytes in place of megabytes, to carry along with a program.

Kernels that do not tell their types can still be met, if somebody wrote the types down elsewhere. What is kept is
what decides each CO-RE relocation: the structures on the way, with the members that lie on it at their old places,
and of the types of those members as much as a comparison looks at. Ids are new, so a program that asks for ids of
the kernel's types is not served by this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import IntEnum

from skep.btf.btf import Btf
from skep.btf.builder import BtfBuilder
from skep.btf.core_paths import TYPE_KINDS, Path
from skep.btf.ext import CoreKind, CoreRelocation
from skep.btf.relocation import Resolver
from skep.btf.types import (
    Array,
    Composite,
    DeclTag,
    Enumeration,
    FunctionPrototype,
    Modifier,
    Pointer,
    Type,
)


class _Extent(IntEnum):
    """How much of a type is kept: its name and size; what it is made of, without members; everything."""

    NAME = 1
    SHAPE = 2
    ALL = 3


def minimise(requests: Iterable[tuple[Btf, Sequence[CoreRelocation]]], target: Btf) -> Btf:
    """The part of ``target`` that decides the relocations: pairs of a program's types and what it asks.

    Raises BtfError for a relocation that is damaged or ambiguous. What ``target`` does not have stays missing.
    """
    kept = _Kept(target)
    for local, relocations in requests:
        resolver = Resolver(local, target)
        for relocation in relocations:
            place = resolver.resolve(relocation).place
            if place is not None:
                kept.add(relocation.kind, place)
    return kept.build()


class _Kept:
    """What is kept so far: by type its extent, and the members of composites that are not kept whole."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.extents: dict[int, _Extent] = {}
        self.members: dict[int, set[int]] = {}

    def add(self, kind: CoreKind, path: Path) -> None:
        """Keep what one relocation looks at."""
        if kind == CoreKind.TYPE_MATCHES:
            self.keep(path.root, _Extent.ALL)
        elif kind in TYPE_KINDS:
            self.keep(path.root, _Extent.SHAPE)
        elif isinstance(self.btf.resolve(path.root), Enumeration):
            self.keep(path.root, _Extent.ALL)
        else:
            self._add_path(path)

    def _add_path(self, path: Path) -> None:
        self.keep(path.root, _Extent.NAME)
        here = self.btf.resolve_id(path.root)
        for step in path.steps[1:]:
            type = self.btf[here]
            if step.name is None:
                assert isinstance(type, Array)
                here = self.btf.resolve_id(type.element)
                continue
            for composite, index in (*self._way_to(here, step.type, set()), (step.type, step.index)):
                self.members.setdefault(composite, set()).add(index)
                member = self.btf.members(composite)[index]
                self.keep(member.type, _Extent.NAME)
                here = self.btf.resolve_id(member.type)

    def _way_to(self, here: int, goal: int, searched: set[int]) -> list[tuple[int, int]]:
        """The anonymous members that lead from the composite ``here`` to ``goal`` inside it."""
        if here == goal or here in searched:
            return []
        searched.add(here)
        for index, member in enumerate(self.btf.members(here)):
            inner = self.btf.resolve_id(member.type)
            if member.name or not isinstance(self.btf[inner], Composite):
                continue
            if inner == goal:
                return [(here, index)]
            if further := self._way_to(inner, goal, searched):
                return [(here, index), *further]
        return []

    def keep(self, type_id: int, extent: _Extent, behind_pointer: bool = False) -> None:
        """Keep a type and what has to be kept with it."""
        if behind_pointer and isinstance(self.btf[type_id], Composite):
            # Behind a pointer nobody looks further than the name.
            extent = _Extent.NAME
        if not type_id or self.extents.get(type_id, 0) >= extent:
            return
        self.extents[type_id] = extent
        match type := self.btf[type_id]:
            case Modifier():
                self.keep(type.target, extent, behind_pointer)
            case Array():
                self.keep(type.element, extent, behind_pointer)
                self.keep(type.index, _Extent.NAME)
            case Pointer() if extent > _Extent.NAME:
                self.keep(type.target, extent, behind_pointer=True)
            case FunctionPrototype() if extent > _Extent.NAME:
                self.keep(type.result, extent, behind_pointer)
                for parameter in type.parameters:
                    self.keep(parameter.type, extent, behind_pointer)
            case Composite() if extent == _Extent.ALL:
                for member in type.members:
                    self.keep(member.type, extent)

    def build(self) -> Btf:
        """The BTF of what is kept, in the order that it had."""
        ids = {0: 0}
        for new, old in enumerate(sorted(self.extents), 1):
            ids[old] = new
        builder = BtfBuilder(self.btf.byte_order)
        for old in sorted(self.extents):
            builder.add(self._reduced(old, ids), unique=True)
        return builder.build()

    def _reduced(self, type_id: int, ids: dict[int, int]) -> Type:
        """A type with the new ids of what it refers to, and without what is not kept of it."""
        extent = self.extents[type_id]
        match type := self.btf[type_id]:
            case Modifier() | DeclTag():
                return replace(type, target=ids[type.target])
            case Pointer():
                return replace(type, target=ids[type.target] if extent > _Extent.NAME else 0)
            case Array():
                return replace(type, element=ids[type.element], index=ids[type.index])
            case FunctionPrototype() if extent == _Extent.NAME:
                return replace(type, result=0, parameters=())
            case FunctionPrototype():
                parameters = tuple(replace(each, type=ids[each.type]) for each in type.parameters)
                return replace(type, result=ids[type.result], parameters=parameters)
            case Enumeration() if extent < _Extent.ALL:
                return replace(type, values=())
            case Composite():
                chosen = self.members.get(type_id, ()) if extent < _Extent.ALL else range(len(type.members))
                members = tuple(
                    replace(type.members[index], type=ids[type.members[index].type]) for index in sorted(chosen)
                )
                return replace(type, members=members)
        return type
