"""Where a CO-RE relocation points: a path through the members and elements of a type, and the same path in another
BTF.

Names lead the way in the other BTF: members may lie elsewhere, in anonymous structs and unions or out of them, in
another order. Source: Documentation/bpf/llvm_reloc.rst (access strings); what counts as the same field is the
reference loader's rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from skep.btf.btf import Btf
from skep.btf.compatibility import essential_name, fields_compatible
from skep.btf.ext import CoreKind, CoreRelocation
from skep.btf.types import Array, Composite, Enumeration
from skep.errors import BtfError

#: Relocations about a whole type.
TYPE_KINDS = frozenset(
    {
        CoreKind.TYPE_ID_LOCAL,
        CoreKind.TYPE_ID_TARGET,
        CoreKind.TYPE_EXISTS,
        CoreKind.TYPE_SIZE,
        CoreKind.TYPE_MATCHES,
    }
)
#: Relocations about one name of an enumeration.
ENUMERATOR_KINDS = frozenset({CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE})

_WORDS = {
    CoreKind.FIELD_BYTE_OFFSET: "offset of",
    CoreKind.FIELD_BYTE_SIZE: "size of",
    CoreKind.FIELD_EXISTS: "existence of",
    CoreKind.FIELD_SIGNED: "signedness of",
    CoreKind.FIELD_LSHIFT_U64: "left shift of",
    CoreKind.FIELD_RSHIFT_U64: "right shift of",
    CoreKind.TYPE_ID_LOCAL: "local id of",
    CoreKind.TYPE_ID_TARGET: "kernel's id of",
    CoreKind.TYPE_EXISTS: "existence of",
    CoreKind.TYPE_SIZE: "size of",
    CoreKind.TYPE_MATCHES: "match of",
    CoreKind.ENUMVAL_EXISTS: "existence of",
    CoreKind.ENUMVAL_VALUE: "value of",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path into a type: member ``index`` of the composite ``type``, or element ``index`` of an array
    of ``type``.

    ``name`` is that of the member, None for an element.
    """

    type: int
    index: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a type: from ``root`` by ``steps`` (anonymous members left out), ``bit_offset`` bits from its
    start.
    """

    root: int
    steps: tuple[Step, ...]
    bit_offset: int = 0


def local_path(btf: Btf, relocation: CoreRelocation) -> Path:
    """The place that a relocation names in the program's own types; raises BtfError if its types do not have it."""
    try:
        indices = [int(part) for part in relocation.access.split(":")]
    except ValueError:
        raise BtfError(f"the access {relocation.access!r} of a CO-RE relocation is no list of numbers") from None
    root = relocation.type_id
    damaged = BtfError(
        f"the access {relocation.access!r} of a CO-RE relocation ({relocation.kind.name}) does not fit "
        f"type {root} {btf[root].name!r}"
    )
    if min(indices) < 0 or (relocation.kind in TYPE_KINDS and indices != [0]):
        raise damaged
    if relocation.kind in TYPE_KINDS:
        return Path(root, ())
    type_id = btf.resolve_id(root)
    if relocation.kind in ENUMERATOR_KINDS:
        type = btf[type_id]
        if not isinstance(type, Enumeration) or len(indices) != 1 or indices[0] >= len(type.values):
            raise damaged
        return Path(root, (Step(type_id, indices[0], type.values[indices[0]].name),))
    bits = 8 * indices[0] * btf.size_of(type_id)
    steps = [Step(type_id, indices[0])]
    for index in indices[1:]:
        type = btf[type_id]
        if isinstance(type, Composite) and index < len(type.members):
            member = type.members[index]
            bits += member.bit_offset
            if member.name:
                steps.append(Step(type_id, index, member.name))
            type_id = btf.resolve_id(member.type)
        elif isinstance(type, Array) and (index < type.length or _is_flexible(btf, steps[-1], type)):
            type_id = btf.resolve_id(type.element)
            steps.append(Step(type_id, index))
            bits += 8 * index * btf.size_of(type_id)
        else:
            raise damaged
    return Path(root, tuple(steps), bits)


def describe(btf: Btf, relocation: CoreRelocation, path: Path) -> str:
    """A relocation in words: ``offset of struct task_struct.mm.owner``."""
    root = btf[path.root]
    subject = f"{root.kind.name.lower().removesuffix('64')} {root.name or '(anonymous)'}"
    if relocation.kind in ENUMERATOR_KINDS:
        subject += f"::{path.steps[0].name}"
    else:
        for number, step in enumerate(path.steps):
            if step.name is not None:
                subject += f".{step.name}"
            elif number or step.index:
                subject += f"[{step.index}]"
    return f"{_WORDS[relocation.kind]} {subject}"


def _is_flexible(btf: Btf, step: Step, array: Array) -> bool:
    """Whether an array is the last member of its struct and has no length of its own: any index is inside."""
    if step.name is None or array.length:
        return False
    return step.index == len(btf.members(step.type)) - 1


def find_enumerator(path: Path, btf: Btf, candidate: int) -> Path | None:
    """The enumerator of ``candidate`` that has the same name; None if there is none."""
    type_id = btf.resolve_id(candidate)
    type = btf[type_id]
    wanted = essential_name(path.steps[0].name or "")
    if isinstance(type, Enumeration):
        for index, value in enumerate(type.values):
            if essential_name(value.name) == wanted:
                return Path(candidate, (Step(type_id, index, value.name),))
    return None


def find_field(local: Btf, path: Path, btf: Btf, candidate: int) -> Path | None:
    """The field of ``candidate`` that has the same names and element numbers on its way, wherever they lie."""
    type_id = btf.resolve_id(candidate)
    bits = 0
    steps: list[Step] = []
    for step in path.steps:
        if step.name is not None:
            found = _find_member(local, step, btf, type_id, set())
            if found is None:
                return None
            place, offset, member_type = found
            bits += offset
            steps.append(place)
            type_id = btf.resolve_id(member_type)
            continue
        if steps:
            type = btf[type_id]
            if not isinstance(type, Array):
                return None
            if step.index >= type.length and not _is_flexible(btf, steps[-1], type):
                return None
            type_id = btf.resolve_id(type.element)
        bits += 8 * step.index * btf.size_of(type_id) if step.index else 0
        steps.append(Step(type_id, step.index))
    return Path(candidate, tuple(steps), bits)


def _find_member(local: Btf, step: Step, btf: Btf, type_id: int, searched: set[int]) -> tuple[Step, int, int] | None:
    """The member of a name, inside anonymous ones too: its place, its bit offset and its type; None if it cannot be
    read as that. What is ``searched`` already is not searched again: damaged types may contain themselves.
    """
    type_id = btf.resolve_id(type_id)
    type = btf[type_id]
    if not isinstance(type, Composite) or type_id in searched:
        return None
    searched.add(type_id)
    wanted = local.members(step.type)[step.index].type
    for index, member in enumerate(type.members):
        if not member.name:
            found = _find_member(local, step, btf, member.type, searched)
            if found is not None:
                place, offset, member_type = found
                return place, member.bit_offset + offset, member_type
        elif member.name == step.name:
            if not fields_compatible(local, wanted, btf, member.type):
                return None
            return Step(type_id, index, member.name), member.bit_offset, member.type
    return None
