"""What a tracing program is about: the BTF id of the function or tracepoint that it names.

The kernel numbers an attach point by its type: a function for fentry, fexit and fmod_ret, a typedef ``btf_trace_…``
for a tracepoint, a function ``bpf_lsm_…`` for an LSM hook, a function ``bpf_iter_…`` for an iterator. Of what is in
another program, which freplace, fentry and fexit may name, the number is the one in that program's BTF.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skep.btf.compatibility import essential_name
from skep.btf.kinds import Kind
from skep.engines.kernel.system_types import find_type, kernel_btf
from skep.errors import LoadError
from skep.objects.kinds import AttachType, ProgramType
from skep.objects.spec import MapSpec, ProgramSpec

#: By attach type: what stands before the target's name in the kernel's BTF, and the kind it has there.
_TARGETS: dict[AttachType, tuple[str, Kind]] = {
    AttachType.TRACE_RAW_TP: ("btf_trace_", Kind.TYPEDEF),
    AttachType.TRACE_FENTRY: ("", Kind.FUNC),
    AttachType.TRACE_FEXIT: ("", Kind.FUNC),
    AttachType.MODIFY_RETURN: ("", Kind.FUNC),
    AttachType.LSM_MAC: ("bpf_lsm_", Kind.FUNC),
    AttachType.LSM_CGROUP: ("bpf_lsm_", Kind.FUNC),
    AttachType.TRACE_ITER: ("bpf_iter_", Kind.FUNC),
}


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """The BTF id of what a program attaches to, 0 where it says nothing; ``module`` has it, "" for the kernel."""

    id: int
    attach_type: int | None
    module: str = ""


#: What the kernel calls the structure around a table of programs, before the table's own name.
_STRUCT_OPS_PREFIX = "bpf_struct_ops_"


def attach_point(spec: ProgramSpec, type: ProgramType, member: tuple[str, str] | None = None) -> AttachPoint:
    """What a program attaches to.

    ``member`` is the structure and member that a struct_ops program is. Raises LoadError if the kernel, or the
    program that it is a function of, has no such thing.
    """
    if type == ProgramType.STRUCT_OPS:
        return _struct_ops_point(spec, member)
    if spec.target_program is not None:
        return AttachPoint(_function_in(spec, spec.target_program), spec.attach_type)
    if type not in (ProgramType.TRACING, ProgramType.LSM) or spec.attach_type is None:
        return AttachPoint(0, spec.attach_type)
    prefix, kind = _TARGETS.get(spec.attach_type, ("", Kind.FUNC))
    if not spec.attach_target:
        raise LoadError(
            f"program {spec.name!r} does not say what it attaches to; its section is {spec.section!r}", file=spec.file
        )
    found = find_type(prefix + spec.attach_target, kind)
    if found is None:
        raise LoadError(
            f"program {spec.name!r} attaches to {spec.attach_target!r}, and the running kernel has no "
            f"{prefix + spec.attach_target!r}",
            file=spec.file,
        )
    return AttachPoint(found.id, spec.attach_type, found.module)


def _function_in(spec: ProgramSpec, target: ProgramSpec) -> int:
    name = spec.attach_target or target.name
    found = None if target.btf is None else target.btf.find(name, Kind.FUNC)
    if found is None:
        raise LoadError(
            f"program {spec.name!r} attaches to function {name!r} of program {target.name!r}, whose types do not "
            "have it",
            file=spec.file,
        )
    return found


def struct_ops_member(spec: ProgramSpec, tables: Iterable[MapSpec]) -> tuple[str, str] | None:
    """The structure and the member that a program is, by the tables that hold it; None if no table does."""
    for table in tables:
        for offset, name in table.slots.items():
            if name != spec.name or table.btf is None:
                continue
            for member in table.btf.members(table.value_type_id):
                if member.bit_offset == 8 * offset:
                    return essential_name(table.btf.resolve(table.value_type_id).name), member.name
    return None


def struct_ops_type(table: MapSpec) -> tuple[int, int]:
    """The kernel's type of a struct_ops map's value, and its size in bytes; raises LoadError if it has none."""
    name = essential_name(table.btf.resolve(table.value_type_id).name) if table.btf is not None else table.name
    found = kernel_btf().find(_STRUCT_OPS_PREFIX + name, Kind.STRUCT)
    if found is None:
        raise LoadError(
            f"map {table.name!r} is a table of {name}, which the running kernel does not take from programs"
        )
    return found, kernel_btf().size_of(found)


def _struct_ops_point(spec: ProgramSpec, member: tuple[str, str] | None) -> AttachPoint:
    if member is None:
        raise LoadError(
            f"program {spec.name!r} is a member of a table of programs, and no table of the object holds it; "
            "load the object as a whole",
            file=spec.file,
        )
    structure, wanted = member
    btf = kernel_btf()
    found = btf.find(structure, Kind.STRUCT)
    names = [each.name for each in btf.members(found)] if found is not None else []
    if found is None or wanted not in names:
        raise LoadError(
            f"program {spec.name!r} is {structure}.{wanted}, which the running kernel does not have", file=spec.file
        )
    return AttachPoint(found, names.index(wanted))
