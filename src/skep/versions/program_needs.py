"""What a program needs of a kernel, found by looking at it: nothing is followed, so that it takes no time.

Everything that stands in the program counts, whether it is ever reached or not; of what it uses several times the
first place is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType

from skep.btf import Btf, CoreKind, Kind, Modifier, Pointer, TypeTag
from skep.btf.types import Array, Composite, DataSection, Variable
from skep.isa import opcodes, row_of
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import FunctionReference, KfuncReference, KsymReference, MapSpec, ProgramSpec, Spec
from skep.programs import KINDS
from skep.stdlib.prototypes import NAMES
from skep.versions import fields, kinds, replacements
from skep.versions.addresses import context_accesses
from skep.versions.helpers import HELPERS
from skep.versions.helpers_by_type import LATER
from skep.versions.instructions import NO_GLOBAL_DATA, family_of
from skep.versions.kfuncs import kfunc_since
from skep.versions.loops import first_back_edge
from skep.versions.need import Area, Need, Needs
from skep.versions.version import KernelVersion

#: What the C library says of EINVAL and E2BIG: all that a loader gets where the kernel prints nothing.
_INVALID = "Invalid argument (EINVAL)"
_TOO_LARGE = "Argument list too long (E2BIG)"

#: The most instructions that a program could have before 5.2, and bytes of types looked into at most.
_SHORT = 4096
_DEPTH = 8
_V = KernelVersion
_FUNCTIONS_LINKED = _V(5, 6)
_TAIL_CALLS_BESIDE_FUNCTIONS = _V(5, 10)
_LONG_PROGRAMS = _V(5, 2)
_LOOPS = _V(5, 3)
_KERNEL_TYPES = _V(5, 4)

#: Since when a helper that a type may not call is refused in these words.
_NAMES_TYPES = _V(6, 10)

_TAIL_CALL = 12
_KPTR_XCHG = 194
#: libbpf puts the older helper in the place of these where the kernel does not have them.
_PUT_BACK = {
    "probe_read_kernel": "libbpf puts bpf_probe_read in its place",
    "probe_read_kernel_str": "libbpf puts bpf_probe_read_str in its place",
}
_ASKING = {CoreKind.FIELD_EXISTS, CoreKind.TYPE_EXISTS, CoreKind.ENUMVAL_EXISTS, CoreKind.TYPE_MATCHES}
_CONTEXTS = {ProgramType.XDP: ("struct xdp_md", fields.XDP)}
_SKB = ("struct __sk_buff", fields.SKB)


def needs_of(program: ProgramSpec) -> Needs:
    """All that the program uses and that came with some version of Linux."""
    scan = _Scan(program)
    scan.run()
    every = sorted(scan.found.values(), key=lambda need: need.order)
    every.sort(key=lambda need: need.surely, reverse=True)
    return Needs(program, tuple(every), tuple(scan.unknown), _asks(program))


def needs_beside_programs(object: Spec) -> Needs:
    """What the maps need that no program of the object uses: loaders make them all the same."""
    used = {name for program in object.programs.values() for name in program.maps}
    maps = {name: one for name, one in object.maps.items() if name not in used and not _is_table(one)}
    return needs_of(ProgramSpec("", "", None, (), maps=MappingProxyType(maps), file=object.file))


def _is_table(map: MapSpec) -> bool:
    return map.type is MapType.STRUCT_OPS or bool(map.configuration)


def _asks(program: ProgramSpec) -> str:
    """By what means the program finds out at load time what the kernel has."""
    means = []
    if any(one.kind in _ASKING for one in program.core_relocations.values()):
        means.append("tests by CO-RE")
    if any(getattr(one, "weak", False) for one in program.references.values()):
        means.append("weak symbols")
    if any(one.configuration for one in program.maps.values()):
        means.append("the kernel's configuration")
    return " and ".join(means)


@dataclass(slots=True)
class _Scan:
    program: ProgramSpec
    found: dict[tuple[Area, str], Need] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)

    def run(self) -> None:
        self._kind()
        for spec in self.program.maps.values():
            self._map(spec)
        for table in self.program.tables:
            self._table(table)
        self._types()
        if self.program.instructions:
            self._instructions()
            self._context()
            self._shape()

    def _add(
        self,
        area: Area,
        name: str,
        since: KernelVersion | None,
        *,
        instruction: int | None = None,
        map: str | None = None,
        complaint: str = _INVALID,
        otherwise: str = "",
        advice: str = "",
        latest: KernelVersion | None = None,
        later_complaints: tuple[tuple[KernelVersion, str], ...] = (),
    ) -> None:
        if since is None:
            return
        known = self.found.get((area, name))
        if known is not None and (known.is_required or otherwise):
            if instruction is not None:
                self.found[area, name] = replace(known, places=(*known.places, instruction))
            return
        source = None if instruction is None else self.program.line_of(instruction)
        self.found[area, name] = Need(
            area,
            name,
            since,
            () if instruction is None else (instruction,),
            map,
            complaint,
            otherwise,
            advice[:1].upper() + advice[1:],
            source,
            latest,
            later_complaints,
        )

    def _kind(self) -> None:
        """What it is loaded as."""
        program = self.program
        if program.type is not None and program.type in kinds.PROGRAM_TYPES:
            name = program.type.name
            instead = replacements.PROGRAM_TYPES.get(name, "")
            advice = f"use {instead}" if instead else ""
            self._add("program type", name.lower(), kinds.PROGRAM_TYPES[program.type], advice=advice)
        if program.attach_type is not None:
            self._add(
                "attach type",
                program.attach_type.label,
                kinds.ATTACH_TYPES[program.attach_type],
                complaint=f"attaching: {_INVALID}" if program.attach_type in kinds.WHEN_ATTACHED else _INVALID,
                otherwise=kinds.LEFT_OUT.get(program.attach_type, ""),
            )
        for bit, name, since in kinds.LOAD_FLAGS:
            if program.flags & bit:
                if name == "SLEEPABLE" and program.type is not None:
                    since = max(since, kinds.SLEEPABLE.get(program.type, since))
                self._add("load flag", f"BPF_F_{name}", since)
        if program.sleepable and not program.flags & 1 << 4:
            self._add("load flag", "BPF_F_SLEEPABLE", _V(5, 10))

    def _map(self, spec: MapSpec) -> None:
        """One map, with what its values hold."""
        name = spec.type.name
        instead = replacements.MAP_TYPES.get(name, "")
        advice = f"use {instead}" if instead else ""
        said = f"map {spec.name}: {_INVALID}"
        since = kinds.MAP_TYPES.get(spec.type)
        if spec.type is not MapType.STRUCT_OPS:
            self._add("map type", name.lower(), since, map=spec.name, complaint=said, advice=advice)
        for bit, flag, since in kinds.MAP_FLAGS:
            if spec.flags & bit:
                left_out = "libbpf leaves it out" if flag == "MMAPABLE" and spec.section else ""
                self._add(
                    "map flag",
                    f"BPF_F_{flag}",
                    since,
                    map=spec.name,
                    complaint=said,
                    otherwise=left_out,
                    advice=NO_GLOBAL_DATA if spec.section else "",
                )
        if spec.btf is not None and spec.value_type_id:
            for name in sorted(_special(spec.btf, spec.value_type_id)):
                if name in fields.STRUCTURES:
                    plain = "older kernels take it for plain bytes"
                    self._add("map field", name, fields.STRUCTURES[name], map=spec.name, otherwise=plain)
                else:
                    # An exchange needs a pointer that is owned; all else is done with plain bytes, too.
                    plain = (
                        "" if self._exchanges() else "older kernels take it for a pointer that is not owned, or bytes"
                    )
                    since = fields.POINTER_TAGS[name]
                    refused = "off=0 kptr isn't referenced kptr"
                    self._add("map field", f"__{name}", since, map=spec.name, complaint=refused, otherwise=plain)
        if spec.inner is not None:
            self._map(replace(spec.inner, name=spec.name))

    def _exchanges(self) -> bool:
        """Whether the program exchanges pointers in maps."""
        return any(
            one.opcode == opcodes.JMP | opcodes.CALL and one.src == opcodes.CALL_HELPER and one.imm == _KPTR_XCHG
            for one in self.program.instructions
        )

    def _table(self, table: MapSpec) -> None:
        """A table of functions that the program belongs to."""
        if table.btf is not None and table.value_type_id:
            name = table.btf.resolve(table.value_type_id).name
            self._add("type", name, fields.TABLES.get(name), complaint=f"struct_ops: no type {name} in the kernel")

    def _types(self) -> None:
        """Kinds of type, which loaders rewrite, and types of the kernel, which CO-RE needs."""
        btf = self.program.btf
        for name, since in fields.BTF_KINDS.items() if btf is not None else ():
            assert btf is not None
            if since > _V(4, 18) and btf.of_kind(Kind[name]):
                self._add("type", f"BTF {name.lower()}", since, otherwise="libbpf writes it in terms of older kinds")
        if self.program.core_relocations:
            self._add(
                "kernel types",
                "CO-RE relocations",
                _KERNEL_TYPES,
                otherwise="give the loader the kernel's types in a file (btf_custom_path)",
            )

    def _instructions(self) -> None:
        instructions = self.program.instructions
        slot = 0
        while slot < len(instructions):
            instruction = instructions[slot]
            reference = self.program.references.get(slot)
            row = row_of(instruction)
            if isinstance(reference, KfuncReference):
                self._kfunc(slot, reference)
            elif isinstance(reference, KsymReference):
                if reference.type_id:
                    self._family("lddw_ksym", slot, _V(5, 10), "weak: the program does without" * reference.weak)
            elif isinstance(reference, FunctionReference):
                self._family("lddw_function", slot, _V(5, 13))
            elif instruction.opcode == opcodes.JMP | opcodes.CALL and instruction.src == opcodes.CALL_HELPER:
                self._helper(slot, instruction.imm)
            elif row is not None and row.linux not in (None, "3.18") and row.name != "call_kfunc":
                self._family(row.name, slot, _V.of(row.linux or ""))
            slot += 2 if instruction.is_wide else 1

    def _family(self, row: str, slot: int, since: KernelVersion, otherwise: str = "") -> None:
        family = family_of(row)
        if family is not None:
            self._add(
                "instruction",
                family.name,
                since,
                instruction=slot,
                complaint=family.complaint(self.program.instructions[slot]),
                advice=family.advice,
                otherwise=otherwise,
            )

    def _helper(self, slot: int, number: int) -> None:
        name = NAMES.get(number)
        if name is None:
            return
        instead = replacements.HELPERS.get(name, "")
        since, latest, title = HELPERS[name], None, f"bpf_{name}"
        later: tuple[tuple[KernelVersion, str], ...] = ()
        type = self.program.type
        if type is not None and (type, name) in LATER:
            since, sure = LATER[type, name]
            latest = None if since == sure else sure
            later = (
                (HELPERS[name], f"unknown func bpf_{name}#{number}"),
                (_NAMES_TYPES, f"program of this type cannot use helper bpf_{name}#{number}"),
            )
            title += f" in {type.label}"
        self._add(
            "helper",
            title,
            since,
            instruction=slot,
            complaint=f"invalid func unknown#{number}",
            latest=latest,
            later_complaints=later,
            otherwise=_PUT_BACK.get(name, ""),
            advice=f"use {instead}" if instead else "",
        )

    def _kfunc(self, slot: int, reference: KfuncReference) -> None:
        name = reference.name
        since = kfunc_since(name, self.program.type)
        if since is None:
            self.unknown[name] = None
        instead = next((text for start, text in replacements.KFUNCS.items() if name.startswith(start)), "")
        self._add(
            "kernel function",
            name,
            since,
            instruction=slot,
            complaint=f"extern (func ksym) '{name}': not found in kernel or module BTFs",
            otherwise="weak: the program does without" if reference.weak else "",
            advice=f"use {instead}" if instead else "",
        )

    def _context(self) -> None:
        """Fields of the context that it surely reads or writes."""
        type = self.program.type
        if type is None or type not in KINDS or type is ProgramType.RAW:
            return
        structure, since = _CONTEXTS.get(type, _SKB)
        rows = [(one.offset, one.size, one.name) for one in KINDS[type].fields]
        for access in context_accesses(self.program.instructions):
            for offset, size, name in rows:
                if offset <= access.offset < offset + size:
                    said = f"invalid bpf_context access off={access.offset} size={access.size}"
                    self._add(
                        "field", f"{name} of {structure}", since.get(name), instruction=access.slot, complaint=said
                    )
                    if access.size < min(size, 4) and name != "cb" and size > 1:
                        self._add(
                            "field",
                            f"part of {name}",
                            fields.NARROW_LOADS,
                            instruction=access.slot,
                            complaint=said,
                            advice="read the whole field, and mask it",
                        )

    def _shape(self) -> None:
        """Functions, length, loops."""
        program = self.program
        if len(program.instructions) > _SHORT:
            self._add(
                "size",
                f"program of more than {_SHORT:,} instructions",
                _LONG_PROGRAMS,
                complaint=_TOO_LARGE,
                advice="part the program into several that tail-call each other",
            )
        back = first_back_edge(program.instructions)
        if back is not None:
            self._add(
                "loop",
                "loops",
                _LOOPS,
                instruction=back[0],
                complaint=f"back-edge from insn {back[0]} to {back[1]}",
                advice="unroll it: #pragma unroll, with a bound that the compiler knows",
            )
        calls = [
            slot
            for slot, one in enumerate(program.instructions)
            if one.opcode == opcodes.JMP | opcodes.CALL and one.src == opcodes.CALL_SUBPROGRAM
        ]
        tails = (
            slot
            for slot, one in enumerate(program.instructions)
            if one.opcode == opcodes.JMP | opcodes.CALL and one.src == opcodes.CALL_HELPER and one.imm == _TAIL_CALL
        )
        if calls and (tail := next(tails, None)) is not None:
            self._add(
                "function",
                "tail calls beside functions",
                _TAIL_CALLS_BESIDE_FUNCTIONS,
                instruction=tail,
                complaint="tail_calls are not allowed in programs with bpf-to-bpf calls",
                advice="have all functions inlined; on arm64 it takes Linux 6.0",
            )
        if any(one.is_global for one in program.functions[1:]):
            first = next(one for one in program.functions[1:] if one.is_global)
            self._add(
                "function",
                "global functions",
                _FUNCTIONS_LINKED,
                instruction=first.start,
                otherwise="libbpf makes them static: they are followed at each call",
            )


def _special(btf: Btf, type_id: int) -> set[str]:
    """The structs and tags with rules of their own that a type holds, at any depth."""
    found: set[str] = set()
    waiting, seen = [(type_id, 0)], set()
    while waiting:
        one, depth = waiting.pop()
        if one in seen or depth > _DEPTH:
            continue
        seen.add(one)
        match type := btf[one]:
            case Pointer():
                target = btf[type.target]
                if isinstance(target, TypeTag) and target.name in fields.POINTER_TAGS:
                    found.add(target.name)
            case Composite():
                if type.name in fields.STRUCTURES:
                    found.add(type.name)
                else:
                    waiting += [(member.type, depth + 1) for member in type.members]
            case DataSection():
                waiting += [(entry.variable, depth) for entry in type.variables]
            case Array():
                waiting.append((type.element, depth + 1))
            case Variable():
                waiting.append((type.type, depth))
            case Modifier():
                waiting.append((type.target, depth))
    return found
