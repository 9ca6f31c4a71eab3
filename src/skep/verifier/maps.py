"""What the verifier knows of a map: its definition, and the fields of its value that have rules of their own.

A lock, a timer, a list or a pointer to a kernel object in a map's value is found by its type in the map's BTF. Plain
loads and stores must leave it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skep.btf.types import Array, DataSection, Modifier, Pointer, Struct, TypeTag, Union, Variable
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

if TYPE_CHECKING:
    from skep.btf import Btf

#: Creation flags: programs may only read, or only write.
_READ_ONLY = 1 << 7
_WRITE_ONLY = 1 << 8

#: Structures with rules of their own.
_STRUCTURES: Final = frozenset(
    {
        "bpf_spin_lock",
        "bpf_res_spin_lock",
        "bpf_timer",
        "bpf_wq",
        "bpf_task_work",
        "bpf_list_head",
        "bpf_list_node",
        "bpf_rb_root",
        "bpf_rb_node",
        "bpf_refcount",
    }
)
_POINTER_TAGS: Final = frozenset({"kptr", "kptr_untrusted", "percpu_kptr", "uptr"})
#: Elements of an array that are looked into; what lies behind them is the same again.
_ELEMENTS = 16
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class SpecialField:
    """A field with rules of its own: the name of its type, where it lies and how long it is, in bytes."""

    name: str
    offset: int
    size: int

    @property
    def is_pointer(self) -> bool:
        """Whether it holds a pointer to a kernel object."""
        return self.name in _POINTER_TAGS


class MapFacts:
    """One map of a program. Compared by identity: two maps are never the same."""

    def __init__(self, spec: MapSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.type: MapType = spec.type
        self.key_size = spec.key_size
        self.value_size = spec.value_size
        self.max_entries = spec.max_entries
        self.inner: MapFacts | None = None if spec.inner is None else MapFacts(spec.inner)
        flags = spec.flags | (_READ_ONLY if spec.frozen else 0)
        if spec.type in (MapType.DEVMAP, MapType.DEVMAP_HASH):
            flags |= _READ_ONLY
        self.readable = not flags & _WRITE_ONLY
        self.writable = not flags & _READ_ONLY
        #: The bytes of a map that nobody changes any more.
        self.constant: bytes | None = None
        if spec.frozen and flags & _READ_ONLY and spec.type is MapType.ARRAY and spec.contents is not None:
            self.constant = spec.contents.ljust(spec.value_size, b"\0")
        self.has_btf = spec.btf is not None and spec.value_type_id != 0
        self.fields = _special_fields(spec)
        self.lock: SpecialField | None = self._field("bpf_spin_lock")

    def _field(self, name: str) -> SpecialField | None:
        return next((field for field in self.fields if field.name == name), None)

    @property
    def has_lock(self) -> bool:
        """Whether a pointer to its value has to be told from others, because there is a lock in it."""
        return any(field.name in ("bpf_spin_lock", "bpf_res_spin_lock") for field in self.fields)

    def holds(self, *names: str) -> bool:
        """Whether the value has a field of one of these types."""
        return any(field.name in names for field in self.fields)

    def __repr__(self) -> str:
        return f"<map {self.name}>"


def _special_fields(spec: MapSpec) -> tuple[SpecialField, ...]:
    if spec.btf is None or not spec.value_type_id:
        return ()
    return tuple(_walk(spec.btf, spec.value_type_id, 0, _DEPTH))


def _walk(btf: Btf, type_id: int, offset: int, depth: int) -> Iterator[SpecialField]:
    if depth < 0:
        return
    found = btf[type_id]
    while isinstance(found, Modifier):
        found = btf[found.target]
    match found:
        case Struct(name=name, size=size) if name in _STRUCTURES:
            yield SpecialField(name, offset, size)
        case Struct(members=members) | Union(members=members):
            for member in members:
                yield from _walk(btf, member.type, offset + member.bit_offset // 8, depth - 1)
        case Array(element=element, length=length) if length:
            inside = list(_walk(btf, element, 0, depth - 1))
            step = btf.size_of(element) if inside else 0
            for index in range(min(length, _ELEMENTS)):
                for field in inside:
                    yield SpecialField(field.name, offset + index * step + field.offset, field.size)
        case DataSection(variables=variables):
            for one in variables:
                variable = btf[one.variable]
                if isinstance(variable, Variable):
                    yield from _walk(btf, variable.type, offset + one.offset, depth - 1)
        case Pointer(target=target):
            tag = btf[target] if target else None
            if isinstance(tag, TypeTag) and tag.name in _POINTER_TAGS:
                yield SpecialField(tag.name, offset, 8)
        case _:
            pass
