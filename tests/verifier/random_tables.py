"""Random programs that are members of the tables that the kernel calls (struct_ops): arguments read, passed on,
written to, references given back or not, kernel functions called that the member may call, and some that it may not.
"""

from __future__ import annotations

import random
from types import MappingProxyType

from skep.btf import BtfBuilder
from skep.btf.types import Composite, Pointer
from skep.isa import Instruction
from skep.objects import AttachType, FunctionSpec, KfuncReference, MapReference, MapSpec, MapType, ProgramSpec
from skep.objects import ProgramType as P
from skep.stdlib.kfuncs import KFUNCS, KfuncFlag
from skep.verifier.contexts.program_tables import TABLES
from tests.verifier.random_kfuncs import _MAPS, Writer, types

_OFFSETS = (0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 128, 168, 192, 208, 832, 840, 848, 1296, 7280, 7407)


def members() -> list[tuple[str, str]]:
    """Every member of every table that the running kernel takes from programs."""
    found = []
    for name in TABLES:
        table = types().find_program_table(name)
        if table is not None:
            named = table.btf.members(table.id)
            found += [(name, one.name) for one in named if table.table.prototype(one.type) is not None]
    return found


def table_with(table: str, member: str, program: str) -> MapSpec:
    """A variable of a table, of which one member is the program."""
    builder = BtfBuilder()
    number = builder.integer("unsigned long", 8)
    value = builder.struct(table, [(member, number)])
    return MapSpec(
        "table",
        MapType.STRUCT_OPS,
        4,
        8,
        1,
        value_type_id=value,
        slots=MappingProxyType({0: program}),
        btf=builder.build(),
    )


def random_member(seed: int, known: list[str]) -> ProgramSpec:
    """The program of that seed; it calls functions of ``known``."""
    chance = random.Random(seed)
    table, member = chance.choice(members())
    sleepable = chance.random() < 0.15
    structure = types().find_program_table(table)
    assert structure is not None
    field = structure.btf.member(structure.id, member)
    prototype = None if field is None else structure.table.prototype(field.type)
    assert prototype is not None
    writer = Writer(chance)
    writer.text(
        "r6 = r1\n" + "\n".join(f"*(u64 *)(r10 - {at}) = {chance.choice((0, 0, 1))}" for at in range(8, 72, 8))
    )
    for index, parameter in enumerate(prototype.parameters):
        target = structure.table.pointee(parameter.type)
        is_object = target is not None and isinstance(target.btf[target.id], Composite)
        to_free = isinstance(structure.btf.resolve(parameter.type), Pointer) and not is_object
        if writer.free and writer.likely(0.8):
            register = writer.free.pop()
            writer.text(f"r{register} = *(u{chance.choice((64,) * 9 + (32,))} *)(r6 + {8 * index})")
            if is_object and target is not None:
                writer.objects[register] = target.name
                if writer.likely(0.2):
                    writer.text(f"if r{register} != 0 goto +2\nr0 = 0\nexit")
            elif to_free:
                writer.objects[register] = "bpf_sk_buff_ptr"
    mine = [one for one in known if KFUNCS[one].permitted(P.STRUCT_OPS, None, (table, member))]
    about = [one for one in mine if KFUNCS[one].tables or one.startswith(("scx_", "hid_", "bpf_iter_scx"))]
    for _ in range(chance.choice((0, 1, 1, 2))):
        pool = known if writer.likely(0.1) else (about if about and writer.likely(0.7) else mine)
        writer.call(chance.choice(pool))
    if writer.objects and writer.likely(0.5):
        size, register = chance.choice((8, 16, 32, 64)), chance.choice([*writer.objects])
        place = f"*(u{size} *)(r{register} + {chance.choice(_OFFSETS)})"
        writer.text(f"{place} = 1" if writer.likely(0.5) else f"r1 = {place}")
    for register, held in writer.objects.items():
        ways = [one for one in mine if KFUNCS[one].flags & KfuncFlag.RELEASE and _first_taken(one) == held]
        if ways and writer.likely(0.7):
            name = chance.choice(ways)
            writer.text(f"r1 = r{register}")
            others = [one for one, type in writer.objects.items() if type == "bpf_sk_buff_ptr"]
            writer.text(f"r2 = r{others[0]}" if others else "r2 = 0")
            writer.references[len(writer.code)] = KfuncReference(name)
            writer.code.append(Instruction(0x85, 0, 2, 0, -1))
    if writer.objects and writer.likely(0.1):
        writer.text(f"r0 = r{chance.choice([*writer.objects])}")
    else:
        writer.text(f"r0 = {chance.choice((0, 0, 0, 1))}")
    writer.text("exit")
    maps = {one.map: _MAPS[one.map] for one in writer.references.values() if isinstance(one, MapReference)}
    return ProgramSpec(
        "test",
        "test",
        P.STRUCT_OPS,
        tuple(writer.code),
        AttachType.STRUCT_OPS,
        None,
        sleepable,
        functions=(FunctionSpec("test", 0),),
        references=writer.references,
        maps=maps,
        license="GPL",
        tables=(table_with(table, member, "test"),),
    )


def _first_taken(name: str) -> str:
    function = types().function(name)
    taken = function.table.pointee(function.parameters[0].type) if function and function.parameters else None
    return "" if taken is None else taken.name
