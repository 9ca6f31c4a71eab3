"""Map definitions in the section ``.maps``: structs whose members' types say everything, described by BTF.

``int (*max_entries)[10]`` is what ``__uint(max_entries, 10)`` makes, ``struct key *key`` comes from
``__type(key, struct key)``, and ``values`` is an array of pointers to inner maps or programs, whose initial members
are relocations.
Source: the conventions of libbpf's ``bpf_helpers.h``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from skep.btf import Array, Btf, Composite, DataSection, Enumeration, FunctionPrototype, Kind, Pointer, Variable
from skep.errors import ObjectError
from skep.objects.elf import ElfFile, Relocation, Section
from skep.objects.kinds import MapType
from skep.objects.spec import MapSpec

SECTION = ".maps"
#: Members that hold a plain number, and the field of `MapSpec` that each becomes.
_NUMBERS = {
    "key_size": "key_size",
    "value_size": "value_size",
    "max_entries": "max_entries",
    "map_flags": "flags",
    "numa_node": "numa_node",
    "pinning": "pinning",
    "map_extra": "map_extra",
}
#: Maps that hold maps, whose ``values`` describe the inner ones.
_OUTER = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)

#: Names the function at a byte of a section (given by index), or None.
FunctionNamer = Callable[[int, int], str | None]


@dataclass(slots=True)
class MapDefinitions:
    """Maps by name; by where their definition lies (section index and byte); and the sections with definitions."""

    maps: dict[str, MapSpec] = field(default_factory=dict)
    places: dict[tuple[int, int], str] = field(default_factory=dict)
    sections: set[int] = field(default_factory=set)

    def add(self, spec: MapSpec, section: Section, offset: int) -> None:
        """Take up a map that is defined at ``offset`` of ``section``."""
        if spec.name in self.maps:
            raise ObjectError(f"there are two maps with the name {spec.name!r}", section=section.name)
        self.maps[spec.name] = spec
        self.places[section.index, offset] = spec.name
        self.sections.add(section.index)


def section_of(btf: Btf | None, section: Section) -> tuple[Btf, DataSection]:
    """The BTF of a section that nothing else describes."""
    type_id = btf.find(section.name, Kind.DATASEC) if btf else None
    found = btf[type_id] if btf and type_id else None
    if btf is None or not isinstance(found, DataSection):
        raise ObjectError(
            "what the section holds is described by BTF only, and there is none; build with clang -g",
            section=section.name,
        )
    return btf, found


def map_type_of(number: int, name: str, section: str) -> MapType:
    """The map type of a number, or the error that it does not exist."""
    try:
        return MapType(number)
    except ValueError:
        raise ObjectError(
            f"the map {name!r} has the unknown type {number}; Linux 6.18 has types 1 to {max(MapType).value}",
            section=section,
        ) from None


def read_btf_maps(elf: ElfFile, btf: Btf | None, found: MapDefinitions, name_function: FunctionNamer) -> None:
    """Add the maps that the section ``.maps`` defines."""
    section = elf.by_name.get(SECTION)
    if section is None:
        return
    btf, datasec = section_of(btf, section)
    found.sections.add(section.index)
    starts: list[tuple[int, str, int | None]] = []
    for entry in datasec.variables:
        variable = btf[entry.variable]
        if not isinstance(variable, Variable):
            raise ObjectError(f"type {entry.variable} is no variable; the BTF is damaged", section=section.name)
        if entry.offset + entry.size > section.size:
            raise ObjectError(
                f"the definition of the map {variable.name!r} ends at byte {entry.offset + entry.size} of "
                f"{section.size}; a map that is only declared has to be linked in",
                section=section.name,
            )
        definition = _Definition(btf, variable.name, section.name)
        found.add(definition.read(variable.type, depth=0), section, entry.offset)
        values = definition.values_offset
        starts.append((entry.offset, variable.name, None if values is None else entry.offset + values))
    _fill_slots(elf, section, found, sorted(starts), name_function)


class _Definition:
    """Reads the struct of one map."""

    def __init__(self, btf: Btf, name: str, section: str) -> None:
        self.btf, self.name, self.section = btf, name, section
        #: Where the initial members lie, in bytes from the start of the struct.
        self.values_offset: int | None = None

    def error(self, problem: str) -> ObjectError:
        return ObjectError(f"the map {self.name!r} {problem}", section=self.section)

    def read(self, type_id: int, depth: int) -> MapSpec:
        struct = self.btf.resolve(type_id)
        if not isinstance(struct, Composite):
            raise self.error("is not defined by a struct")
        numbers: dict[str, int] = {}
        kind: int | None = None
        types: dict[str, int] = {}
        inner: MapSpec | None = None
        for member in struct.members:
            if member.name == "type":
                kind = self._number(member.name, member.type)
            elif member.name in _NUMBERS:
                numbers[_NUMBERS[member.name]] = self._number(member.name, member.type)
            elif member.name in ("key", "value"):
                pointer = self.btf.resolve(member.type)
                if not isinstance(pointer, Pointer):
                    raise self.error(f"has a {member.name} that is no pointer; write __type({member.name}, ...)")
                types[member.name] = pointer.target
            elif member.name == "values":
                self.values_offset = member.bit_offset // 8
                inner = self._inner(member.type, depth)
            else:
                raise self.error(f"has the member {member.name!r}, which map definitions do not know")
        if kind is None:
            raise self.error("has no type; write __uint(type, BPF_MAP_TYPE_...)")
        type = map_type_of(kind, self.name, self.section)
        for what, target in types.items():
            size, field_name = self.btf.size_of(target), f"{what}_size"
            if numbers.setdefault(field_name, size) != size:
                raise self.error(f"has a {what} of {size} bytes, but says {what}_size {numbers[field_name]}")
        if type in _OUTER and "value_size" not in numbers:
            numbers["value_size"] = 4
        if type is MapType.PROG_ARRAY:
            numbers.setdefault("key_size", 4)
            numbers.setdefault("value_size", 4)
        if type in _OUTER and depth:
            raise self.error("holds maps of maps of maps; one level is possible")
        spec = MapSpec(
            name=self.name,
            type=type,
            key_size=0,
            value_size=0,
            max_entries=0,
            key_type_id=types.get("key", 0),
            value_type_id=types.get("value", 0),
            inner=inner,
            section=self.section,
            btf=self.btf,
        )
        return replace(spec, **numbers)  # type: ignore[arg-type]

    def _number(self, name: str, type_id: int) -> int:
        """What ``__uint`` (length of an array that is pointed to) or ``__ulong`` (an enumerator) says."""
        type = self.btf.resolve(type_id)
        if isinstance(type, Pointer):
            array = self.btf.resolve(type.target)
            if isinstance(array, Array):
                return array.length
        if isinstance(type, Enumeration) and len(type.values) == 1:
            return type.values[0].value
        raise self.error(f"has a member {name!r} that holds no number; write __uint({name}, ...)")

    def _inner(self, type_id: int, depth: int) -> MapSpec | None:
        """The inner map that ``values`` describes; None where it describes programs."""
        array = self.btf.resolve(type_id)
        pointer = self.btf.resolve(array.element) if isinstance(array, Array) else None
        if not isinstance(pointer, Pointer):
            raise self.error("has values that are no array of pointers; write __array(values, ...)")
        target = self.btf.resolve(pointer.target)
        if isinstance(target, FunctionPrototype):
            return None
        if not isinstance(target, Composite) or depth:
            raise self.error("has values that are neither maps nor programs")
        return _Definition(self.btf, f"{self.name}.inner", self.section).read(pointer.target, depth + 1)


def _fill_slots(
    elf: ElfFile,
    section: Section,
    found: MapDefinitions,
    starts: list[tuple[int, str, int | None]],
    name_function: FunctionNamer,
) -> None:
    """Initial members: a relocation in the section belongs to the last definition that starts before it."""
    slots: dict[str, dict[int, str]] = {}
    for relocation in elf.relocations(section):
        at = relocation.offset
        before = bisect_right(starts, at, key=lambda entry: entry[0])
        _, owner, first = starts[before - 1] if before else (0, None, None)
        if owner is None or first is None or at < first or (at - first) % 8:
            raise ObjectError(
                f"a relocation for {relocation.symbol.name!r} does not fit an initial value of a map",
                section=section.name,
                offset=at,
            )
        slots.setdefault(owner, {})[(at - first) // 8] = _slot_value(elf, section, found, relocation, name_function)
    for name, members in slots.items():
        spec = found.maps[name]
        if spec.max_entries and max(members) >= spec.max_entries:
            raise ObjectError(
                f"the map {name!r} has {spec.max_entries} entries, but an initial value for entry {max(members)}",
                section=section.name,
            )
        found.maps[name] = replace(spec, slots=MappingProxyType(members))


def _slot_value(
    elf: ElfFile, section: Section, found: MapDefinitions, relocation: Relocation, name_function: FunctionNamer
) -> str:
    symbol, data = relocation.symbol, section.data or b""
    if symbol.section is not None and relocation.offset + 8 <= len(data):
        stored = int.from_bytes(data[relocation.offset : relocation.offset + 8], elf.byte_order)
        place = symbol.value + relocation.addend + stored
        name = found.places.get((symbol.section, place)) or name_function(symbol.section, place)
        if name is not None:
            return name
    raise ObjectError(
        f"an initial value refers to {symbol.name!r}, which is neither a map nor a program of this object",
        section=section.name,
        offset=relocation.offset,
    )
