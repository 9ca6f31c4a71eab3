"""What an object expects from the kernel: functions and variables (``.ksyms``) and its configuration (``.kconfig``).

Only BTF tells them from symbols that somebody forgot to define. Configuration values are read from a map called
``.kconfig``, laid out here as libbpf does it: widest alignment first, then smaller size, then name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from skep.btf import Btf, DataSection, Function, Kind, Variable, Void
from skep.errors import ObjectError
from skep.objects.kinds import MapType
from skep.objects.spec import GlobalVariable, MapSpec

#: Bytes of all configuration values together: damaged types may claim any size.
_MAX_CONFIGURATION = 1 << 16
_EMPTY: Mapping[str, int] = MappingProxyType({})
_READ_ONLY = 1 << 7
_MAPPABLE = 1 << 10


@dataclass(frozen=True, slots=True)
class Externs:
    """What the kernel has to provide.

    ``functions`` and ``variables`` are by name with their BTF type id (0: untyped), ``configuration`` the offsets of
    values in the map ``.kconfig``, which is ``map``.
    """

    CONFIGURATION_MAP: ClassVar[str] = ".kconfig"

    functions: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    variables: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    configuration: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    map: MapSpec | None = None
    globals: tuple[GlobalVariable, ...] = ()


def read_externs(btf: Btf | None, weak: frozenset[str] = frozenset()) -> Externs:
    """The externs that BTF declares; ``weak`` are the symbols that may stay undefined."""
    if btf is None:
        return Externs()
    functions, variables = {}, {}
    configuration: list[tuple[int, int, str, int]] = []
    for name in (".ksyms", Externs.CONFIGURATION_MAP):
        section = btf[btf.find(name, Kind.DATASEC) or 0]
        for entry in section.variables if isinstance(section, DataSection) else ():
            match extern := btf[entry.variable]:
                case Function():
                    functions[extern.name] = entry.variable
                case Variable() if name == ".ksyms":
                    untyped = isinstance(btf.resolve(extern.type), Void)
                    variables[extern.name] = 0 if untyped else extern.type
                case Variable():
                    size, align = btf.size_of(extern.type), btf.align_of(extern.type)
                    configuration.append((-align, size, extern.name, extern.type))
    offset = 0
    found = []
    for align, size, name, type_id in sorted(configuration):
        offset += -offset % -align
        found.append(GlobalVariable(name, Externs.CONFIGURATION_MAP, offset, size, type_id, name in weak))
        offset += size
        if offset > _MAX_CONFIGURATION:
            raise ObjectError(f"{offset} bytes of configuration values are impossible; the BTF is damaged")
    return Externs(
        functions=MappingProxyType(functions),
        variables=MappingProxyType(variables),
        configuration=MappingProxyType({variable.name: variable.offset for variable in found}),
        map=_configuration_map(btf, offset, tuple(found)) if found else None,
        globals=tuple(found),
    )


def _configuration_map(btf: Btf, size: int, values: tuple[GlobalVariable, ...]) -> MapSpec:
    return MapSpec(
        name=Externs.CONFIGURATION_MAP,
        type=MapType.ARRAY,
        key_size=4,
        value_size=size,
        max_entries=1,
        flags=_READ_ONLY | _MAPPABLE,
        value_type_id=btf.find(Externs.CONFIGURATION_MAP, Kind.DATASEC) or 0,
        contents=bytes(size),
        frozen=True,
        section=Externs.CONFIGURATION_MAP,
        configuration=values,
        btf=btf,
    )
