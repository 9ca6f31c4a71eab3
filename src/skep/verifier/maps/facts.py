"""What the verifier knows of a map: its definition, and the fields of its value that have rules of their own."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from skep.btf import Btf
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec
from skep.verifier.kernel.kernel_types import TypeTable
from skep.verifier.maps.map_fields import LOCKS, NONE, Fields, SpecialField, fields_of_map, refused

#: Creation flags: programs may only read, or only write.
_READ_ONLY = 1 << 7
_WRITE_ONLY = 1 << 8
#: Creation flag of arrays: as an inner map it may be replaced by one with another number of elements.
_ANY_NUMBER_OF_ELEMENTS = 1 << 12


class Types(Protocol):
    """Where a map's facts look types up."""

    @property
    def kernel_types(self) -> TypeTable:
        """The types of the kernel."""

    def table_of(self, btf: Btf) -> TypeTable:
        """The types of one BTF."""

    @property
    def has_types(self) -> bool:
        """Whether the kernel takes the program's types."""


class MapFacts:
    """One map of a program. Compared by identity: two maps are never the same."""

    def __init__(self, spec: MapSpec, types: Types, *, is_template: bool = False) -> None:
        """``is_template``: it says what the maps in another map are like."""
        self.spec = spec
        self.is_template = is_template
        self.name = spec.name
        self.type: MapType = spec.type
        self.key_size = spec.key_size
        self.value_size = spec.value_size
        self.max_entries = spec.max_entries
        self.inner: MapFacts | None = None if spec.inner is None else MapFacts(spec.inner, types, is_template=True)
        self._types = types
        flags = spec.flags | (_READ_ONLY if spec.frozen else 0)
        if spec.type in (MapType.DEVMAP, MapType.DEVMAP_HASH):
            flags |= _READ_ONLY
        self._flags = flags
        self.readable = not flags & _WRITE_ONLY
        self.writable = not flags & _READ_ONLY
        #: Whether a map with another number of elements may stand in its place, or it in that of one.
        self.may_differ = bool(flags & _ANY_NUMBER_OF_ELEMENTS)
        #: The bytes of a map that nobody changes any more.
        self.constant: bytes | None = None
        if spec.frozen and flags & _READ_ONLY and spec.type is MapType.ARRAY and spec.contents is not None:
            self.constant = spec.contents.ljust(spec.value_size, b"\0")

    @cached_property
    def _found(self) -> tuple[bool, Fields]:
        """Whether it is made with types, and its fields."""
        spec = self.spec
        if spec.btf is None or not spec.value_type_id:
            return False, NONE
        types = self._types
        fields = fields_of_map(spec.value_type_id, types.table_of(spec.btf), lambda: types.kernel_types)
        if fields and (refused(self.type, self._flags, fields) or not types.has_types):
            return False, NONE
        return True, fields

    @property
    def has_btf(self) -> bool:
        """Whether the kernel knows the type of its values."""
        return self._found[0] and self._types.has_types

    @property
    def fields(self) -> Fields:
        """The fields of its values that have rules of their own."""
        return self._found[1]

    @cached_property
    def lock(self) -> SpecialField | None:
        """The spin lock in its values."""
        return self.fields.first("bpf_spin_lock")

    @cached_property
    def has_lock(self) -> bool:
        """Whether a pointer to its value has to be told from others, because there is a lock in it."""
        return self.holds(*LOCKS)

    def holds(self, *names: str) -> bool:
        """Whether the value has a field of one of these types."""
        return self.fields.first(*names) is not None

    def __repr__(self) -> str:
        return f"<map {self.name}>"
