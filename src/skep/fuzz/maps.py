"""The maps that generated programs use, one of each kind that all engines have, and the types of their functions.

They are always the same. Programs of one batch share them, so that making maps costs nothing; they are emptied
between programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.btf import Btf
from skep.btf.builder import BtfBuilder
from skep.btf.types import Linkage, Member, Struct
from skep.objects import MapSpec, MapType

#: Bytes of a value of every map but those that say otherwise.
VALUE = 16
#: The keys that programs make are below this; maps hold fewer, so that some are not found and some do not fit.
KEYS = 8

_GLOBALS_BYTES = 64
_RESULTS_BYTES = 88


#: How many arguments a subprogram has at most.
MOST_ARGUMENTS = 5


def _types() -> tuple[Btf, dict[str, int]]:
    """The types of values and functions, and their ids by name."""
    builder = BtfBuilder()
    word = builder.integer("unsigned int", 4)
    wide = builder.integer("unsigned long long", 8)
    pointer = builder.pointer()
    lock = builder.add(Struct("bpf_spin_lock", 4, (Member("val", word, 0),)))
    members = (Member("lock", lock, 0), Member("a", word, 32), Member("b", wide, 64), Member("c", wide, 128))
    ids = {"locked": builder.add(Struct("locked", 24, members)), "key": word}
    static = Linkage.STATIC
    ids["main"] = builder.function("main", word, [("context", pointer)])
    ids["callback"] = builder.function("callback", wide, [("index", word), ("place", pointer)], static)
    for count in range(1, MOST_ARGUMENTS + 1):
        arguments = [(f"a{number}", wide) for number in range(count)]
        ids[f"subprogram{count}"] = builder.function("subprogram", wide, arguments, static)
    return builder.build(), ids


#: The types that programs are loaded with, and where in them things are.
TYPES, TYPE_IDS = _types()


#: By name. `globals` and `results` are reached by address, as global variables are.
MAPS: Mapping[str, MapSpec] = MappingProxyType(
    {
        one.name: one
        for one in (
            MapSpec("globals", MapType.ARRAY, 4, _GLOBALS_BYTES, 1),
            MapSpec("results", MapType.ARRAY, 4, _RESULTS_BYTES, 1),
            MapSpec("table", MapType.ARRAY, 4, VALUE, 4),
            MapSpec("hash", MapType.HASH, 8, VALUE, 4),
            MapSpec("table_per_cpu", MapType.PERCPU_ARRAY, 4, VALUE, 2),
            MapSpec("hash_per_cpu", MapType.PERCPU_HASH, 8, VALUE, 4),
            MapSpec(
                "locked",
                MapType.ARRAY,
                4,
                24,
                2,
                key_type_id=TYPE_IDS["key"],
                value_type_id=TYPE_IDS["locked"],
                btf=TYPES,
            ),
        )
    }
)
