"""Fields with rules of their own in the values of maps and in objects of a program's types: where, and of what type.

A lock, a timer, a list or a pointer to an object is found by its type, when a map is made (in its values) and when
types are loaded (in the structs of the program). A map whose fields do not make sense is made all the same, without
any; types that do not make sense are refused as a whole.

Source: the documentation of these fields (``Documentation/bpf/graph_ds_impl.rst``, bpf-helpers(7)); which shapes are
found and which are refused was tried on Linux 6.18.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from skep.btf.types import Array, DataSection, Modifier, Pointer, Struct, TypeTag, Variable
from skep.objects.kinds import MapType
from skep.verifier.kernel.kernel_types import KernelType, TypeTable

#: The most fields that one value or object may have.
_MOST_FIELDS: Final = 11
_DEPTH: Final = 15

#: Structs with rules of their own, with their sizes and alignments.
_STRUCTURES: Final = {
    "bpf_spin_lock": (4, 4),
    "bpf_res_spin_lock": (4, 4),
    "bpf_timer": (16, 8),
    "bpf_wq": (16, 8),
    "bpf_task_work": (8, 8),
    "bpf_list_head": (16, 8),
    "bpf_list_node": (24, 8),
    "bpf_rb_root": (16, 8),
    "bpf_rb_node": (32, 8),
    "bpf_refcount": (4, 4),
}
#: Tags that make a pointer one that is kept for a program, and what messages call the field.
POINTER_TAGS: Final = {"kptr": "kptr", "kptr_untrusted": "kptr", "percpu_kptr": "percpu_kptr", "uptr": "uptr"}
#: Of each of these a value has one at most.
_SINGLE: Final = frozenset({"bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work"})
LOCKS: Final = ("bpf_spin_lock", "bpf_res_spin_lock")
_KEPT: Final = ("kptr", "kptr_untrusted", "percpu_kptr")
#: What is looked for in a map's value.
_IN_MAPS: Final = frozenset(
    {*LOCKS, "bpf_timer", "bpf_wq", "bpf_task_work", "bpf_list_head", "bpf_rb_root", "bpf_refcount", "uptr", *_KEPT}
)
#: What is looked for in structs of the program.
_IN_STRUCTS: Final = frozenset(
    {*LOCKS, "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount", *_KEPT}
)
#: A struct is looked into if one of its own members is one of these (or a pointer that is kept).
_TELLING: Final = frozenset(
    {"bpf_spin_lock", "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount"}
)
_NODES: Final = {"bpf_list_head": "bpf_list_node", "bpf_rb_root": "bpf_rb_node"}

_ALIGNMENTS: Final = {name: alignment for name, (_, alignment) in _STRUCTURES.items()}

#: Structs of the kernel that have a destructor, so that a map can keep a reference to one.
_DESTRUCTIBLE: Final = frozenset(
    {
        "task_struct",
        "cgroup",
        "bpf_cpumask",
        "bpf_crypto_ctx",
        "sk_buff",
        "prog_test_ref_kfunc",
        "prog_test_member",
    }
)

_T = MapType
_HASHES: Final = (_T.HASH, _T.LRU_HASH, _T.ARRAY)
_STORAGES: Final = (_T.SK_STORAGE, _T.INODE_STORAGE, _T.TASK_STORAGE, _T.CGRP_STORAGE)
_KEEPERS: Final = frozenset({*_HASHES, _T.PERCPU_HASH, _T.LRU_PERCPU_HASH, _T.PERCPU_ARRAY, *_STORAGES})
#: The types of map whose values may have each field.
_MAP_TYPES: Final[dict[str, frozenset[MapType]]] = {
    "bpf_spin_lock": frozenset({_T.HASH, _T.ARRAY, _T.CGROUP_STORAGE, *_STORAGES}),
    "bpf_res_spin_lock": frozenset({_T.HASH, _T.ARRAY, _T.CGROUP_STORAGE, *_STORAGES}),
    **dict.fromkeys(("bpf_timer", "bpf_wq", "bpf_task_work"), frozenset(_HASHES)),
    **dict.fromkeys(("bpf_list_head", "bpf_rb_root"), frozenset({_T.HASH, _T.ARRAY})),
    **dict.fromkeys((*_KEPT, "bpf_refcount"), _KEEPERS),
    "uptr": frozenset({_T.TASK_STORAGE}),
}
_READ_OR_WRITE_ONLY_FOR_PROGRAMS: Final = 1 << 7 | 1 << 8


@dataclass(frozen=True, slots=True)
class SpecialField:
    """A field with rules of its own: the name of its type or tag, where it lies and how long it is, in bytes.

    ``target`` is, of a pointer, what it points to; of a list or tree, the struct of its elements, whose node lies at
    ``node``. Both are None or 0 for all others.
    """

    name: str
    offset: int
    size: int
    target: KernelType | None = None
    node: int = 0

    @property
    def is_pointer(self) -> bool:
        """Whether it holds a pointer to an object."""
        return self.name in POINTER_TAGS

    @property
    def is_referenced(self) -> bool:
        """Whether the pointer in it stands for a reference that the field owns."""
        return self.name in ("kptr", "percpu_kptr")

    @property
    def title(self) -> str:
        """What messages call it."""
        return POINTER_TAGS.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one value or object, by offset."""

    all: tuple[SpecialField, ...] = ()

    def first(self, *names: str) -> SpecialField | None:
        """The first field of one of these types, or None."""
        return next((field for field in self.all if field.name in names), None)

    def at(self, offset: int, *names: str) -> SpecialField | None:
        """The field that starts at ``offset``, if it is of one of these types."""
        return next((field for field in self.all if field.offset == offset and field.name in names), None)

    def __bool__(self) -> bool:
        return bool(self.all)


NONE: Final = Fields()


def fields_of(type: KernelType) -> Fields:
    """The fields of a struct of the program."""
    return type.table.fields.get(type.id, NONE)


class FieldError(Exception):
    """Fields that make no sense; ``number`` is the kernel's error number."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode[number])
        self.number = number


@dataclass(frozen=True, slots=True)
class _Place:
    """A member of a struct or a variable of a section: its type, its offset in bytes, and what its tags are on."""

    type_id: int
    offset: int
    tagged: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Finder:
    """Looks through one BTF for the fields ``wanted``; ``kernel`` gives the kernel's types when a pointer is met."""

    table: TypeTable
    kernel: Callable[[], TypeTable]
    wanted: frozenset[str]
    #: What was found in a struct, from its start; empty while it is looked into.
    _known: dict[int, list[SpecialField]] = field(default_factory=dict, repr=False, compare=False)

    def fields(self, type_id: int) -> Fields:
        """The fields of a struct or section. Raises FieldError where they make no sense."""
        found = self._inside(type_id, 0)
        if len(found) > _MOST_FIELDS:
            raise FieldError(errno.E2BIG)
        names = {field.name for field in found}
        owns = not names.isdisjoint(_NODES)
        if (owns and names.isdisjoint(LOCKS)) or names.issuperset(LOCKS):
            raise FieldError(errno.EINVAL)
        if names.issuperset(_NODES.values()) and "bpf_refcount" not in names:
            # Who can be in a list and in a tree at once is owned by more than one.
            raise FieldError(errno.EINVAL)
        return Fields(tuple(sorted(found, key=lambda field: field.offset)))

    def _inside(self, type_id: int, depth: int) -> list[SpecialField]:
        known = self._known.get(type_id)
        if known is not None or depth > _DEPTH:
            return known or []
        # A damaged type may hold itself.
        self._known[type_id] = found = []
        seen: set[str] = set()
        inside: list[SpecialField] = []
        for place in self._places(type_id):
            inside += self._at(place, seen, depth)
        found += inside
        return found

    def _places(self, type_id: int) -> Iterator[_Place]:
        btf = self.table.btf
        match btf[type_id]:
            case Struct(members=members):
                for index, member in enumerate(members):
                    if member.bit_offset % 8 == 0:
                        yield _Place(member.type, member.bit_offset // 8, (type_id, index))
            case DataSection(variables=variables):
                for one in variables:
                    variable = btf[one.variable]
                    if isinstance(variable, Variable):
                        yield _Place(variable.type, one.offset, (one.variable, -1))
            case _:
                pass

    def _at(self, place: _Place, seen: set[str], depth: int) -> list[SpecialField]:
        """What lies at a place: all elements of an array of fields. ``seen`` are the single ones found before."""
        btf = self.table.btf
        type_id, count = place.type_id, 1
        for _ in range(_DEPTH):
            if not isinstance(array := btf[type_id], Array):
                break
            type_id, count = array.element, count * array.length
        one: list[SpecialField] = []
        step = 8
        match btf[type_id]:
            case Pointer() as pointer:
                tag = tag_of(self.table, pointer)
                if tag in self.wanted:
                    one = [SpecialField(tag, 0, 8, self._pointee(pointer, tag))]
            case Struct(name=name, size=step) if name in _STRUCTURES:
                if name in self.wanted and step == _STRUCTURES[name][0]:
                    one = [self._structure(name, place)]
                    if name in _SINGLE and count and (count > 1 or name in seen):
                        raise FieldError(errno.E2BIG)
                    seen.add(name)
            case Struct(size=step):
                one = self._inside(type_id, depth + 1)
                if count > 1 and any(field.name in _SINGLE for field in one):
                    raise FieldError(errno.E2BIG)
            case _:
                pass
        if count * len(one) > _MOST_FIELDS:
            raise FieldError(errno.E2BIG)
        return [_moved(field, place.offset + index * step) for index in range(count) for field in one]

    def _structure(self, name: str, place: _Place) -> SpecialField:
        """One of the known structs, as found at a place."""
        size = _STRUCTURES[name][0]
        if name in _NODES:
            return SpecialField(name, 0, size, *self._contained(place.tagged, _NODES[name]))
        return SpecialField(name, 0, size)

    def _pointee(self, pointer: Pointer, tag: str) -> KernelType:
        """What a kept pointer points to: a struct of the kernel by that name if it has one, else the program's."""
        btf = self.table.btf
        inner = btf[pointer.target]
        assert isinstance(inner, TypeTag)
        target = self.table.type(inner.target)
        if isinstance(btf[inner.target], TypeTag) or not isinstance(btf[target.id], Struct):
            raise FieldError(errno.EINVAL)
        if tag == "uptr":
            return target
        of_kernel = self.kernel().find_struct(target.name) if target.name else None
        if of_kernel is None or not isinstance(of_kernel.btf[of_kernel.id], Struct):
            return target
        if tag == "kptr" and of_kernel.name not in _DESTRUCTIBLE:
            raise FieldError(errno.ENOENT)
        return of_kernel

    def _contained(self, tagged: tuple[int, int], node: str) -> tuple[KernelType, int]:
        """The struct of a list's or tree's elements and where its node lies, as the tag on the member says."""
        texts = [
            text
            for component, text in self.table.decl_tags(tagged[0])
            if component == tagged[1] and text.startswith("contains:")
        ]
        if len(texts) != 1 or texts[0].count(":") < 2:
            raise FieldError(errno.EINVAL)
        _, struct_name, member_name = texts[0].split(":", 2)
        target = self.table.find_struct(struct_name)
        element = None if target is None else target.btf[target.id]
        if target is None or not isinstance(element, Struct):
            raise FieldError(errno.ENOENT)
        for one in element.members:
            if one.name == member_name:
                held = target.btf[one.type]
                if not isinstance(held, Struct) or held.name != node or one.bit_offset % 64:
                    raise FieldError(errno.EINVAL)
                return target, one.bit_offset // 8
        raise FieldError(errno.ENOENT)


def _moved(field: SpecialField, offset: int) -> SpecialField:
    place = field.offset + offset
    if place % _ALIGNMENTS.get(field.name, 8):
        raise FieldError(errno.EFAULT)
    return replace(field, offset=place)


def tag_of(table: TypeTable, pointer: Pointer) -> str:
    """The tag that makes a pointer one that is kept, or nothing."""
    tag = table.btf[pointer.target] if pointer.target else None
    return tag.name if isinstance(tag, TypeTag) and tag.name in POINTER_TAGS else ""


def fields_of_map(type_id: int, table: TypeTable, kernel: Callable[[], TypeTable]) -> Fields:
    """The fields of a map's values, whose type has that id; none where they make no sense."""
    for _ in range(_DEPTH):
        if not isinstance(found := table.btf[type_id], Modifier):
            break
        type_id = found.target
    try:
        return _Finder(table, kernel, _IN_MAPS).fields(type_id)
    except FieldError:
        return NONE


def refused(map_type: MapType, flags: int, fields: Fields) -> bool:
    """Whether no map of this type and with these flags may have such fields: it is made without types then."""
    for_one_side = bool(flags & _READ_OR_WRITE_ONLY_FOR_PROGRAMS)
    return any(for_one_side or map_type not in _MAP_TYPES[field.name] for field in fields.all)


def fields_of_structs(table: TypeTable, kernel: Callable[[], TypeTable]) -> dict[int, Fields]:
    """The fields of each struct of a program that has any, by type id.

    Raises FieldError where the types are refused as a whole: fields that make no sense, or structs that own each
    other in a circle.
    """
    finder = _Finder(table, kernel, _IN_STRUCTS)
    found: dict[int, Fields] = {}
    for type_id in range(1, len(table.btf)):
        whole = table.btf[type_id]
        if isinstance(whole, Struct) and any(_tells(table, member.type) for member in whole.members):
            found[type_id] = finder.fields(type_id)
    for fields in found.values():
        _check_ownership(fields, found)
    return found


def _tells(table: TypeTable, type_id: int) -> bool:
    """Whether a member of this type makes its struct one that is looked into."""
    match table.btf[type_id]:
        case Struct(name=name):
            return name in _TELLING
        case Pointer() as pointer:
            tagged = table.btf[pointer.target]
            if not isinstance(tagged, TypeTag) or isinstance(table.btf[tagged.target], TypeTag):
                return False
            return tagged.name in _KEPT and isinstance(table.btf.resolve(tagged.target), Struct)
        case _:
            return False


def _check_ownership(fields: Fields, known: Mapping[int, Fields]) -> None:
    """Refuse what can be an element and owns elements that can own others in turn: there might be a circle."""
    if fields.first(*_NODES.values()) is None:
        return
    for one in fields.all:
        element = one.target if one.name in _NODES else None
        if element is not None and known.get(element.id, NONE).first(*_NODES) is not None:
            raise FieldError(errno.ELOOP)
