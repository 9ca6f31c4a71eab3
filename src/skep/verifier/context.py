"""What is fixed for all paths of a program: its type, licence, maps, and what the rules depend on beyond them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from skep.btf import Btf
from skep.objects.fitting import KernelFacts
from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.objects.spec import MapReference, ProgramSpec
from skep.verifier.calls.signatures import Signature
from skep.verifier.contexts.attachment import hook_of
from skep.verifier.contexts.hook import Hook
from skep.verifier.contexts.other_programs import OtherProgram
from skep.verifier.contexts.program_tables import hook_of_member, member_of
from skep.verifier.kernel.kernel_types import (
    TypeTable,
    default_modules,
    default_types,
    has_symbol,
    kernel_table,
)
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import FieldError, Fields, fields_of_structs
from skep.verifier.rejection import NotCovered, Rejection

_STRICT_ALIGNMENT = 1 << 0
_GPL_COMPATIBLE = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)

_TRACING = frozenset(
    {
        ProgramType.KPROBE,
        ProgramType.TRACEPOINT,
        ProgramType.PERF_EVENT,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
    }
)
_SLEEPABLE_MAPS = frozenset(
    {
        MapType.HASH,
        MapType.LRU_HASH,
        MapType.ARRAY,
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.RINGBUF,
        MapType.USER_RINGBUF,
        MapType.INODE_STORAGE,
        MapType.SK_STORAGE,
        MapType.TASK_STORAGE,
        MapType.CGRP_STORAGE,
        MapType.QUEUE,
        MapType.STACK,
        MapType.ARENA,
    }
)

_ONE_STORAGE = "only one cgroup storage of each type is allowed"
#: Types of which a program has one map at most, and what is said of a second.
_ALONE = {
    MapType.CGROUP_STORAGE: _ONE_STORAGE,
    MapType.PERCPU_CGROUP_STORAGE: _ONE_STORAGE,
    MapType.ARENA: "Only one arena per program",
}

#: The attach type that a program has where nobody says one.
_DEFAULT_ATTACH = {
    ProgramType.CGROUP_SOCK_ADDR: AttachType.CGROUP_INET4_CONNECT,
    ProgramType.CGROUP_SOCKOPT: AttachType.CGROUP_GETSOCKOPT,
    ProgramType.SK_LOOKUP: AttachType.SK_LOOKUP,
    ProgramType.NETFILTER: AttachType.NETFILTER,
}


class Context:
    """One program under verification."""

    def __init__(self, spec: ProgramSpec, program_type: ProgramType, kernel: KernelFacts | None = None) -> None:
        self.spec = spec
        self._kernel = kernel
        self.type = program_type
        self.attach_type: AttachType | None = (
            _DEFAULT_ATTACH.get(program_type) if spec.attach_type is None else spec.attach_type
        )
        self.sleepable = spec.sleepable or program_type is ProgramType.SYSCALL
        self.is_gpl = spec.license in _GPL_COMPATIBLE
        self.strict_alignment = bool(spec.flags & _STRICT_ALIGNMENT)
        self.byte_order: Literal["little", "big"] = "big" if spec.byte_order == "big" else "little"
        self.maps = {name: MapFacts(map, self) for name, map in spec.maps.items()}
        self._types_refused = False
        self._tables: dict[int, TypeTable] = {}
        #: How many CPUs the machine may have.
        self.cpus = os.cpu_count() or 1
        #: Whether a function of the program is there for its exceptions.
        self.catches = False
        #: What global functions take, by the index of the function.
        self.signatures: dict[int, Signature] = {}
        #: The other program that this one replaces or watches a function of.
        self.other: OtherProgram | None = None
        #: Whether it replaces that function. It is then treated as a program of the other one's type.
        self.replaces = False
        #: Whether to find out which functions are given what their types say, for a program that names one of them.
        self.is_named = False

    def attach_to(self, other: OtherProgram) -> None:
        """Say which function of another program this one replaces or watches."""
        self.other = other
        if self.type is ProgramType.EXT:
            self.replaces = True
            self.type, self.attach_type = other.type, other.attach_type

    @cached_property
    def kernel_types(self) -> TypeTable:
        """The types of the kernel that the program is for."""
        if self._kernel is None:
            return kernel_table(default_types(), default_modules)
        return kernel_table(self._kernel.types(), self._kernel.modules)

    def has_symbol(self, name: str) -> bool | None:
        """Whether the kernel has a symbol of that name; None where only its types are known."""
        is_running = self._kernel is None or self._kernel.settings is not None
        return has_symbol(name) if is_running else None

    @cached_property
    def hook(self) -> Hook:
        """The function of the kernel that the program is attached to."""
        return hook_of(self) if self.member is None else hook_of_member(self, *self.member)

    @cached_property
    def member(self) -> tuple[str, str] | None:
        """The table and the member of it that the program is, None for other types than struct_ops."""
        return member_of(self.spec) if self.type is ProgramType.STRUCT_OPS else None

    @cached_property
    def program_types(self) -> TypeTable:
        """The types of the program itself."""
        if self.spec.btf is None:
            raise NotCovered("types of a program that has no BTF")
        return TypeTable(self.spec.btf, of_kernel=False)

    def table_of(self, btf: Btf) -> TypeTable:
        """The types of one BTF: the program's own, or those of a map that came from elsewhere."""
        if btf is self.spec.btf:
            return self.program_types
        found = self._tables.get(id(btf))
        if found is None:
            found = self._tables[id(btf)] = TypeTable(btf, of_kernel=False)
        return found

    @cached_property
    def struct_fields(self) -> Mapping[int, Fields]:
        """The fields with rules of their own of each struct of the program that has any, by type id."""
        try:
            found = fields_of_structs(self.program_types, lambda: self.kernel_types)
        except FieldError:
            self._types_refused = True
            return {}
        self.program_types.fields = found
        return found

    @property
    def has_types(self) -> bool:
        """Whether the kernel takes the program's types: without them it loads programs and maps all the same."""
        return self.spec.btf is not None and (bool(self.struct_fields) or not self._types_refused)

    def map_at(self, slot: int) -> MapFacts:
        """The map that the wide load at ``slot`` names."""
        reference = self.spec.references[slot]
        assert isinstance(reference, MapReference)
        found = self.maps.get(reference.map)
        if found is None:
            raise NotCovered(f"map {reference.map}, which the program does not define", instruction=slot)
        return found

    def check_maps(self) -> None:
        """Refuse maps that programs of this type cannot use, in the order in which the program names them."""
        alone: dict[MapType, MapFacts] = {}
        for slot, reference in sorted(self.spec.references.items()):
            if isinstance(reference, MapReference):
                map = self.map_at(slot)
                self._check_map(map, slot)
                if map.type in _ALONE and alone.setdefault(map.type, map) is not map:
                    raise Rejection(_ALONE[map.type], instruction=slot, map=map.name)

    def _check_map(self, map: MapFacts, slot: int) -> None:
        is_tracing = self.type in _TRACING
        if is_tracing and map.holds("bpf_list_head", "bpf_rb_root"):
            raise Rejection("tracing progs cannot use bpf_{list_head,rb_root} yet", instruction=slot, map=map.name)
        if map.holds("bpf_spin_lock", "bpf_res_spin_lock"):
            if self.type is ProgramType.SOCKET_FILTER:
                raise Rejection("socket filter progs cannot use bpf_spin_lock yet", instruction=slot, map=map.name)
            if is_tracing:
                raise Rejection("tracing progs cannot use bpf_spin_lock yet", instruction=slot, map=map.name)
        for name in ("bpf_timer", "bpf_wq"):
            if is_tracing and map.holds(name):
                raise Rejection(f"tracing progs cannot use {name} yet", instruction=slot, map=map.name)
        if map.type is MapType.STRUCT_OPS:
            raise Rejection("bpf_struct_ops map cannot be used in prog", instruction=slot, map=map.name)
        if self.sleepable and map.type not in _SLEEPABLE_MAPS:
            raise Rejection(
                "Sleepable programs can only use array, hash, ringbuf and local storage maps",
                instruction=slot,
                map=map.name,
            )
