"""Tables of programs that the kernel calls (struct_ops): which members programs may be, and what each sees.

The kernel's types have the prototype of each member, and where the kernel keeps a stand-in for it (a function
``TABLE__MEMBER``), the names of its parameters say which may be null (``__nullable``) and which are references that
the program has to give back (``__ref``). What they do not say stands in ``TABLES``, as it was asked of Linux 6.18,
member by member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from skep.btf.compatibility import essential_name
from skep.btf.types import FunctionPrototype, Pointer, Void
from skep.objects.kinds import AttachType
from skep.verifier.contexts.attachment import arguments_of, seen_as
from skep.verifier.contexts.hook import Hook, Seen
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import TRUSTED, Kind

if TYPE_CHECKING:
    from skep.objects.spec import ProgramSpec
    from skep.verifier.context import Context
    from skep.verifier.kernel.kernel_types import KernelType, TypeTable


@dataclass(frozen=True, slots=True)
class Table:
    """What the kernel's types do not say of a table.

    ``members`` are those that programs may be, ``sleepable`` those that may be as sleepable programs; None: all.
    ``promoted`` are structures that arguments are shown as instead, ``shown`` the same for one argument of one
    member; ``helpers`` says whether programs have any.
    """

    members: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    sleepable: frozenset[str] | None = None
    promoted: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    shown: Mapping[tuple[str, int], str] = field(default_factory=lambda: MappingProxyType({}))
    helpers: bool = True
    #: Helpers that the programs of this table have beside those that all tables have, but in the members named.
    extra_helpers: frozenset[str] = frozenset()
    without: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: All tables whose rules are known.
TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        # The table of the kernel's own tests.
        "bpf_dummy_ops": Table(sleepable=_names("test_sleepable"), helpers=False),
        "tcp_congestion_ops": Table(
            excluded=_names("get_info"),
            promoted=MappingProxyType({"sock": "tcp_sock"}),
            extra_helpers=_names(
                "setsockopt getsockopt sk_storage_get sk_storage_delete tcp_send_ack ktime_get_coarse_ns"
            ),
            without=MappingProxyType({"release": _names("setsockopt getsockopt")}),
        ),
        "Qdisc_ops": Table(
            members=_names("enqueue dequeue init reset destroy"),
            shown=MappingProxyType({("enqueue", 2): "bpf_sk_buff_ptr"}),
        ),
        "sched_ext_ops": Table(
            sleepable=_names("init_task cgroup_init cgroup_exit cgroup_prep_move cpu_online cpu_offline init exit")
        ),
        "hid_bpf_ops": Table(sleepable=_names("hid_rdesc_fixup hid_hw_request hid_hw_output_report")),
    }
)

#: Helpers that programs of some tables have, and those of the others not.
_OF_SOME: Final = frozenset(name for table in TABLES.values() for name in table.extra_helpers)
#: Linux takes the number of a member for an attach type, and so shows in some the result that there is not yet.
_RESULT_SHOWN: Final = frozenset(
    {AttachType.TRACE_FEXIT, AttachType.MODIFY_RETURN, AttachType.LSM_MAC, AttachType.LSM_CGROUP}
)


def member_of(spec: ProgramSpec) -> tuple[str, str]:
    """The structure and the member that a struct_ops program is."""
    for table in spec.tables:
        for offset, name in table.slots.items():
            if name != spec.name or table.btf is None:
                continue
            for member in table.btf.members(table.value_type_id):
                if member.bit_offset == 8 * offset:
                    return essential_name(table.btf.resolve(table.value_type_id).name), member.name
    raise NotCovered("a struct_ops program that no table of the object holds")


def _structure(context: Context, table: str) -> KernelType:
    """The kernel's structure of that name, which its types know as a table of programs."""
    found = context.kernel_types.find_program_table(table)
    if found is not None:
        return found
    plain = context.kernel_types.find_struct(table)
    if plain is not None:
        raise Rejection(f"attach_btf_id {plain.id} is not a supported struct", table=table)
    raise NotCovered(f"members of {table}, which the kernel's types do not have")


def _prototype(context: Context, table: str, member: str) -> FunctionPrototype | None:
    structure = _structure(context, table)
    found = structure.btf.member(structure.id, member)
    return None if found is None else structure.table.prototype(found.type)


def _rules(table: str) -> Table:
    found = TABLES.get(table)
    if found is None:
        raise NotCovered(f"members of {table}, a table of programs whose rules are not known here")
    return found


def check_member(context: Context, *, has_tail_call: bool) -> None:
    """Refuse what is wrong with the member of a table that a program is, before its code is looked at."""
    if not context.is_gpl:
        raise Rejection("struct ops programs must have a GPL compatible license")
    table, member = member_of(context.spec)
    structure = _structure(context, table)
    names = [one.name for one in structure.btf.members(structure.id)]
    if member not in names:
        raise NotCovered(f"member {member} of {table}, which the kernel's types do not have")
    if _prototype(context, table, member) is None:
        raise Rejection(f"attach to invalid member {member}(@idx {names.index(member)}) of struct {table}")
    rules = _rules(table)
    permitted = member not in rules.excluded and (rules.members is None or member in rules.members)
    if context.sleepable and rules.sleepable is not None:
        permitted = permitted and member in rules.sleepable
    if not permitted:
        raise Rejection(f"attach to unsupported member {member} of struct {table}")
    if has_tail_call and context.hook.handed_over:
        raise Rejection("program with __ref argument cannot tail call")


def may_call(table: str, member: str, helper: str) -> bool:
    """Whether a table gives its programs a helper that struct_ops programs may have."""
    rules = _rules(table)
    if not rules.helpers or helper in rules.without.get(member, ()):
        return False
    return helper not in _OF_SOME or helper in rules.extra_helpers


def hook_of_member(context: Context, table: str, member: str) -> Hook:
    """What a program sees that is a member of a table."""
    structure = _structure(context, table)
    types = structure.table
    prototype = _prototype(context, table, member)
    if prototype is None:
        raise NotCovered(f"{table}.{member}, which the kernel's types do not have")
    # The kernel's own stand-in for the member names the arguments that may be null, and references.
    stub = types.function(f"{table}__{member}")
    names = [one.name for one in stub.parameters] if stub is not None else []
    nullable = frozenset(index for index, name in enumerate(names) if name.endswith("__nullable"))
    # They are what is acquired first, and so have the first ids.
    owned = {index: id for id, index in enumerate((i for i, name in enumerate(names) if name.endswith("__ref")), 1)}
    arguments = arguments_of(types, member, prototype.parameters, TRUSTED, nullable)
    rules = TABLES.get(table, Table())
    arguments = tuple(
        _special(types, one, rules.promoted, index in nullable, owned.get(index, 0))
        for index, one in enumerate(arguments)
    )
    arguments = tuple(
        Seen(Kind.OBJECT, TRUSTED, types.struct(rules.shown[member, index]), in_part=True)
        if (member, index) in rules.shown
        else one
        for index, one in enumerate(arguments)
    )
    is_void = isinstance(types.btf.resolve(prototype.result), Void)
    number = [one.name for one in structure.btf.members(structure.id)].index(member)
    shown = number in _RESULT_SHOWN and not is_void
    result = seen_as(types, member, len(arguments), prototype.result, 0) if shown else None
    if is_void:
        # The place of the result counts, though there is none.
        result = Seen(problem=f"func '{member}' doesn't have {len(arguments) + 2}-th argument")
    return Hook(member, arguments, result, is_void=is_void)


def _special(types: TypeTable, seen: Seen, promoted: Mapping[str, str], nullable: bool, reference: int) -> Seen:
    """An argument as the table shows it. Linux has nothing to say of what it knows from the stand-in."""
    if seen.subject is not None and seen.subject.name in promoted:
        seen = replace(seen, subject=types.struct(promoted[seen.subject.name]))
    return replace(seen, remark="", reference=reference) if nullable or reference else seen


def returned_object(context: Context) -> KernelType | None:
    """What the pointer leads to that the member returns which a struct_ops program is; None if it returns none."""
    table, member = member_of(context.spec)
    prototype = _prototype(context, table, member)
    if prototype is None:
        return None
    types = _structure(context, table).table
    if not isinstance(types.btf.resolve(prototype.result), Pointer):
        return None
    return types.pointee(prototype.result)
