"""What can be seen of one program after its inputs, and where what two engines show differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from skep.maps import Map
from skep.objects import MapSpec, MapType

#: What a map holds: value by key.
Contents = Mapping[bytes, bytes]

#: Maps whose elements programs do not change, or that cannot be read back.
_NOT_SHOWN = frozenset(
    {
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.RINGBUF,
        MapType.USER_RINGBUF,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.CGROUP_ARRAY,
        MapType.STACK_TRACE,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.XSKMAP,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.ARENA,
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run on one input ended: the return value (None after a fault), packet and context, and the fault."""

    retval: int | None
    packet: bytes = b""
    context: bytes = b""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one engine shows: an ending for each input, and what the maps hold behind the last."""

    endings: tuple[Ending, ...]
    maps: Mapping[str, Contents] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same everywhere.

    ``what`` is "return value", "packet", "context", "fault" or "map"; ``place`` the index of the input, or for a map
    its name; ``key`` the element's, None where there is none. ``seen`` says what each engine shows, None where it
    shows nothing.
    """

    what: str
    place: int | str
    key: bytes | None
    seen: Mapping[str, int | bytes | str | None]


def is_shown(spec: MapSpec) -> bool:
    """Whether a map's elements are looked at."""
    return spec.type not in _NOT_SHOWN and not spec.frozen


def contents(maps: Iterable[Map]) -> dict[str, Contents]:
    """What the maps that are looked at hold, in values without padding."""
    return {one.name: dict(_plain(one)) for one in maps if is_shown(one.spec)}


def _plain(one: Map) -> Iterable[tuple[bytes, bytes]]:
    padding = one.stride - one.spec.value_size
    if not one.is_per_cpu or not padding:
        return one.items()
    zeros = bytes(padding)
    size, stride = one.spec.value_size, one.stride
    return (
        (key, b"".join(value[start : start + size] + zeros for start in range(0, len(value), stride)))
        for key, value in one.items()
    )


def differences(observed: Mapping[str, Observation]) -> list[Difference]:
    """What is not the same on all engines: the first input that ends differently, or else the maps."""
    names = list(observed)
    first = observed[names[0]]
    if all(observed[name] == first for name in names[1:]):
        return []
    for index in range(max(len(one.endings) for one in observed.values())):
        # An engine that a program was stopped on, or kept from, has no more to show.
        endings = {name: one.endings[index] for name, one in observed.items() if index < len(one.endings)}
        if len(endings) > 1 and (found := _of_endings(endings, index)):
            return found
    whole = {name: one.maps for name, one in observed.items() if len(one.endings) == len(first.endings)}
    return _of_maps(whole) if len(whole) == len(names) else []


def _of_endings(endings: Mapping[str, Ending], index: int) -> list[Difference]:
    rows: dict[str, dict[str, int | bytes | str | None]] = {
        "fault": {name: one.fault or None for name, one in endings.items()},
        "return value": {name: one.retval for name, one in endings.items()},
        "packet": {name: one.packet for name, one in endings.items()},
        "context": {name: one.context for name, one in endings.items()},
    }
    return [Difference(what, index, None, seen) for what, seen in rows.items() if len(set(seen.values())) > 1]


def _of_maps(maps: Mapping[str, Mapping[str, Contents]]) -> list[Difference]:
    found = []
    for map_name in next(iter(maps.values())):
        held = {name: one.get(map_name, {}) for name, one in maps.items()}
        for key in sorted(set().union(*held.values())):
            seen: dict[str, int | bytes | str | None] = {name: one.get(key) for name, one in held.items()}
            if len(set(seen.values())) > 1:
                found.append(Difference("map", map_name, key, seen))
    return found
