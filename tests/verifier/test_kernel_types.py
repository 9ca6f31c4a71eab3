"""What is asked of a kernel's types, and that the types carried along say the same as the running kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from skep.btf import BtfBuilder
from skep.btf.kinds import Kind
from skep.btf.types import Function, FunctionPrototype, Member, Struct
from skep.errors import SkepError
from skep.objects import FunctionSpec, KfuncReference, ProgramSpec, ProgramType
from skep.objects.fitting import KernelFacts
from skep.stdlib.kfuncs import KFUNCS
from skep.verifier import verify
from skep.verifier.kernel.kernel_types import OutsideError, TypeTable, carried_types, default_types, kernel_table
from tests.verifier.programs import program

CARRIED = kernel_table(carried_types())
IS_618 = Path("/proc/sys/kernel/osrelease").read_text().startswith("6.18.") if Path("/proc").exists() else False
RUNNING = pytest.mark.skipif(
    not (IS_618 and Path("/sys/kernel/btf/vmlinux").exists()), reason="the running kernel is not 6.18 with BTF"
)


def of_structs() -> TypeTable:
    builder = BtfBuilder()
    number, byte = builder.integer("int", 4), builder.integer("char", 1)
    inner = builder.struct("inner", [("first", number), ("second", number)])
    builder.struct(
        "outer", [("number", number), ("name", builder.array(byte, 8)), ("pointer", builder.pointer(inner))]
    )
    return TypeTable(builder.build(), of_kernel=True)


def of_bits() -> TypeTable:
    builder = BtfBuilder()
    wide = builder.integer("unsigned long", 8)
    builder.struct("bits", [("most", wide, 32), ("one", wide, 1), ("behind", builder.integer("int", 4))])
    return TypeTable(builder.build(), of_kernel=True)


def test_a_place_is_a_number_or_a_pointer() -> None:
    table = of_structs()
    outer = table.struct("outer")
    assert table.member_at(outer, 0, 4).target is None
    found = table.member_at(outer, 16, 8)
    assert found.target is table.struct("inner")
    assert found.member_name == "pointer"


@pytest.mark.parametrize(
    ("offset", "size", "message"),
    [
        (24, 8, "access beyond struct outer at off 24 size 8"),
        (16, 4, "cannot access ptr member pointer with moff 16 in struct outer with off 16 size 4"),
        (8, 8, "access beyond the end of member name (mend:12) in struct outer with off 8 size 8"),
        (12, 4, "struct outer doesn't have field at offset 12"),
    ],
)
def test_what_lies_in_no_member_is_refused(offset: int, size: int, message: str) -> None:
    table = of_structs()
    with pytest.raises(OutsideError) as raised:
        table.member_at(table.struct("outer"), offset, size)
    assert raised.value.message == message


@pytest.mark.parametrize(("offset", "size"), [(0, 4), (0, 8), (4, 1), (4, 2)])
def test_bit_fields_are_read_whole(offset: int, size: int) -> None:
    table = of_bits()
    assert table.member_at(table.struct("bits"), offset, size).target is None


@pytest.mark.parametrize(("offset", "size", "at"), [(0, 1, 0), (1, 2, 1), (2, 2, 2), (6, 4, 6), (7, 1, 7)])
def test_neither_part_of_a_bit_field_nor_what_lies_between_members_is_read(offset: int, size: int, at: int) -> None:
    table = of_bits()
    with pytest.raises(OutsideError) as raised:
        table.member_at(table.struct("bits"), offset, size)
    assert raised.value.message == f"struct bits doesn't have field at offset {at}"


def test_a_pointer_may_stand_for_what_it_starts_with() -> None:
    builder = BtfBuilder()
    inner = builder.struct("inner", [("first", builder.integer("int", 4))])
    builder.struct("outer", [("head", inner), ("tail", inner)])
    table = TypeTable(builder.build(), of_kernel=True)
    small, large = table.struct("inner"), table.struct("outer")
    assert table.starts_with(large, small)
    assert table.starts_with(large, small, 4)
    assert not table.starts_with(large, large, 4)
    assert not table.starts_with(small, large)


def test_a_module_shows_its_kernels_types_as_the_kernels_own() -> None:
    kernel = BtfBuilder()
    word = kernel.integer("int", 4)
    common = kernel.struct("common", [("value", word)])
    base = kernel.build()
    module = BtfBuilder(base.byte_order, base)
    own = module.struct("own", [("shared", module.pointer(common))])
    prototype = module.add(FunctionPrototype(result=module.pointer(common), parameters=()))
    module.add(Function(name="of_module", prototype=prototype))
    table = TypeTable(base, of_kernel=True, modules=lambda: [module.build()])
    (of_module,) = table.modules
    function = table.function("of_module")
    assert function is not None
    assert function.table is of_module
    assert of_module.pointee(function.result) is table.struct("common")
    assert table.find_struct("own") is of_module.type(own)
    assert of_module.member_at(of_module.type(own), 0, 8).target is table.type(common)
    assert table.function("of_nobody") is None
    assert of_module.owns(own)
    assert not of_module.owns(common)


@RUNNING
def test_kfuncs_are_carried_with_their_prototypes() -> None:
    running = kernel_table(default_types())
    for name in KFUNCS:
        theirs, ours = running.function(name), CARRIED.function(name)
        assert theirs is None or ours is not None or not running.is_kfunc(theirs.id), name
        if theirs is not None and ours is not None:
            assert [one.name for one in theirs.parameters] == [one.name for one in ours.parameters], name


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("task_struct", {"pid", "comm", "cgroups", "real_parent", "scx"}),
        ("sk_buff", {"len", "cb", "head", "tstamp"}),
        ("cgroup", {"kn", "level", "self"}),
        ("sock", {"__sk_common", "sk_pacing_rate", "sk_bpf_storage"}),
        ("nf_conn", {"status", "mark", "timeout"}),
        ("xfrm_state", {"id", "props"}),
        ("Qdisc", {"limit", "q", "qstats"}),
        ("hid_device", {"name", "uniq", "vendor"}),
        ("bpf_iter__task", {"meta", "task"}),
    ],
)
def test_structures_are_carried_with_what_distributions_have(name: str, members: set[str]) -> None:
    found = CARRIED.struct(name)
    assert {one for one in members if CARRIED.btf.member(found.id, one) is None} == set()


@pytest.mark.parametrize("name", ["bpf_dummy_ops", "tcp_congestion_ops", "Qdisc_ops", "sched_ext_ops", "hid_bpf_ops"])
def test_tables_of_programs_are_carried(name: str) -> None:
    table = CARRIED.find_program_table(name)
    assert table is not None
    members = [one for one in CARRIED.btf.members(table.id) if CARRIED.prototype(one.type) is not None]
    assert members


def test_a_structure_that_modules_share_is_carried_once() -> None:
    for name in ("nf_conn", "nf_conn___init", "xfrm_state", "bpf_ct_opts"):
        assert len(CARRIED.btf.find_all(name, Kind.STRUCT)) == 1, name
    assert CARRIED.btf.find_all("nf_conn", Kind.FWD) == ()


#: What later kernels of the series have, and a function that only some builds leave in.
LATER_HOOKS = {
    "bpf_lsm_backing_file_alloc",
    "bpf_lsm_backing_file_free",
    "bpf_lsm_mmap_backing_file",
    "bpf_lsm_hook_returns_errno",
}


@RUNNING
def test_tracepoints_and_hooks_are_carried() -> None:
    running = default_types()
    for name in (
        "btf_trace_sched_switch",
        "btf_trace_kfree_skb",
        "btf_trace_tcp_probe",
        "btf_trace_xfs_map_blocks_found",
    ):
        assert carried_types().find(name, Kind.TYPEDEF) is not None
    hooks = {name for name in running.names_with("bpf_lsm_") if running.find(name, Kind.FUNC) is not None}
    assert {name for name in hooks if carried_types().find(name, Kind.FUNC) is None} <= LATER_HOOKS


def calls(name: str, text: str) -> ProgramSpec:
    """A program that calls a kernel function where ``text`` has a call of nothing."""
    base = program(text, ProgramType.SYSCALL)
    references = {
        slot: KfuncReference(name)
        for slot, one in enumerate(base.instructions)
        if one.opcode == 0x85 and one.src == 2
    }
    return ProgramSpec(
        "test",
        "test",
        ProgramType.SYSCALL,
        base.instructions,
        functions=(FunctionSpec("test", 0),),
        references=references,
        license="GPL",
    )


def test_a_program_is_held_against_types_that_are_given() -> None:
    facts = KernelFacts(types=carried_types)
    spec = calls("bpf_rcu_read_lock", "r0 = 0\nexit")
    assert verify(spec, facts=facts).accepted


def test_damaged_types_raise_nothing_else() -> None:
    builder = BtfBuilder()
    looped = builder.add(Struct("looped", size=8, members=(Member("inside", 1, 0),)))
    table = TypeTable(builder.build(), of_kernel=True)
    with pytest.raises((SkepError, OutsideError)):
        table.member_at(table.type(looped), 0, 8)
