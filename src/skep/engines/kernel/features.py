"""What the running kernel can do, found out by trying: the smallest program or map of each kind is loaded and
dropped.

A version number says little (distributions carry patches both ways), so nothing here looks at it. Helpers are tried
one by one in a program that only calls them: the verifier looks a helper up before it looks at its arguments, and
says when it does not know it or does not give it to that type of program. Names come from the kernel's own BTF.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from skep.btf.builder import BtfBuilder
from skep.btf.kinds import Kind
from skep.btf.types import DeclTag, Enumeration
from skep.engines.kernel.kconfig import kernel_config, kernel_version
from skep.engines.kernel.maps import KernelMap
from skep.engines.kernel.programs import KernelProgram
from skep.engines.kernel.syscall import ENOTSUPP
from skep.engines.kernel.system_types import kernel_btf
from skep.engines.kernel.types import KernelBtf
from skep.errors import KernelError
from skep.isa.instruction import Instruction, Instructions
from skep.objects.kinds import AttachType, MapType, ProgramType
from skep.objects.spec import MapSpec

_EXIT = Instruction(0x95)
_ZERO = Instruction(0xB7)
_RETURN_0 = (_ZERO, _EXIT)
_MMAPABLE = 1 << 10
_NO_PREALLOC = 1 << 0

#: The smallest map of each type. Types of local storage must describe their value in BTF.
_SMALLEST_MAPS: Mapping[MapType, MapSpec] = MappingProxyType(
    {
        type: MapSpec("", type, key_size, value_size, entries, flags)
        for type, key_size, value_size, entries, flags in (
            (MapType.HASH, 4, 4, 1, 0),
            (MapType.ARRAY, 4, 4, 1, 0),
            (MapType.PROG_ARRAY, 4, 4, 1, 0),
            (MapType.PERF_EVENT_ARRAY, 4, 4, 1, 0),
            (MapType.PERCPU_HASH, 4, 4, 1, 0),
            (MapType.PERCPU_ARRAY, 4, 4, 1, 0),
            (MapType.STACK_TRACE, 4, 8, 1, 0),
            (MapType.CGROUP_ARRAY, 4, 4, 1, 0),
            (MapType.LRU_HASH, 4, 4, 1, 0),
            (MapType.LRU_PERCPU_HASH, 4, 4, 1, 0),
            (MapType.LPM_TRIE, 8, 4, 1, _NO_PREALLOC),
            (MapType.ARRAY_OF_MAPS, 4, 4, 1, 0),
            (MapType.HASH_OF_MAPS, 4, 4, 1, 0),
            (MapType.DEVMAP, 4, 4, 1, 0),
            (MapType.SOCKMAP, 4, 4, 1, 0),
            (MapType.CPUMAP, 4, 4, 1, 0),
            (MapType.XSKMAP, 4, 4, 1, 0),
            (MapType.SOCKHASH, 4, 4, 1, 0),
            (MapType.CGROUP_STORAGE, 16, 4, 0, 0),
            (MapType.REUSEPORT_SOCKARRAY, 4, 4, 1, 0),
            (MapType.PERCPU_CGROUP_STORAGE, 16, 4, 0, 0),
            (MapType.QUEUE, 0, 4, 1, 0),
            (MapType.STACK, 0, 4, 1, 0),
            (MapType.SK_STORAGE, 4, 4, 0, _NO_PREALLOC),
            (MapType.DEVMAP_HASH, 4, 4, 1, 0),
            (MapType.STRUCT_OPS, 4, 0, 1, 0),
            (MapType.RINGBUF, 0, 0, 4096, 0),
            (MapType.INODE_STORAGE, 4, 4, 0, _NO_PREALLOC),
            (MapType.TASK_STORAGE, 4, 4, 0, _NO_PREALLOC),
            (MapType.BLOOM_FILTER, 0, 4, 1, 0),
            (MapType.USER_RINGBUF, 0, 0, 4096, 0),
            (MapType.CGRP_STORAGE, 4, 4, 0, _NO_PREALLOC),
            (MapType.ARENA, 0, 0, 1, _MMAPABLE),
        )
    }
)
_MAPS_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
_STORAGE = (MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE)

#: Types that are about something in the kernel, which the smallest program has to name: attach type, name and kind
#: there. A program of a struct_ops type says which member it is by the member's index.
_TARGETS: Mapping[ProgramType, tuple[AttachType | str, str, Kind]] = MappingProxyType(
    {
        ProgramType.TRACING: (AttachType.TRACE_FENTRY, "bpf_fentry_test1", Kind.FUNC),
        ProgramType.LSM: (AttachType.LSM_MAC, "bpf_lsm_file_open", Kind.FUNC),
        ProgramType.STRUCT_OPS: ("ssthresh", "tcp_congestion_ops", Kind.STRUCT),
    }
)

#: What the verifier says of a helper that it does not give.
_NO_HELPER = (
    "invalid func ",
    "unknown func ",
    "cannot use helper",
    "only allowed for",
    "program of this type cannot use",
)

#: Instructions that came after the first ones: the name of the group and a program of it that any kernel with it
#: accepts.
_INSTRUCTIONS: Mapping[str, Instructions] = MappingProxyType(
    {
        # if r0 < 1 goto +0: cpu v2.
        "v2: compare with less": (_ZERO, Instruction(0xA5, imm=1), _EXIT),
        # if w0 == 0 goto +0: cpu v3.
        "v3: 32-bit compare": (_ZERO, Instruction(0x16), _EXIT),
        "atomic fetch": (
            Instruction(0x7A, 10, offset=-8),
            Instruction(0xB7, 0, imm=1),
            Instruction(0xDB, 10, 0, -8, 0x01),
            Instruction(0xB7, 0),
            _EXIT,
        ),
        "v4: signed division": (_ZERO, Instruction(0x37, offset=1, imm=1), _EXIT),
        "v4: sign-extending move": (_ZERO, Instruction(0xBF, 0, 0, 8), _EXIT),
        "v4: sign-extending load": (Instruction(0x7A, 10, offset=-8), Instruction(0x91, 0, 10, -8), _ZERO, _EXIT),
        "v4: byte swap": (_ZERO, Instruction(0xD7, imm=16), _EXIT),
        "v4: long jump": (_ZERO, Instruction(0x06), _EXIT),
        "may_goto": (_ZERO, Instruction(0xE5), _EXIT),
        "load-acquire": (Instruction(0x7A, 10, offset=-8), Instruction(0xDB, 0, 10, -8, 0x100), _ZERO, _EXIT),
    }
)

#: Abilities of the verifier and of the system call, each as a program that only a kernel with it accepts.
_ABILITIES: Mapping[str, Instructions] = MappingProxyType(
    {
        "bounded loops": (_ZERO, Instruction(0x07, imm=1), Instruction(0xA5, offset=-2, imm=10), _ZERO, _EXIT),
        "more than 4096 instructions": (*(_ZERO,) * 4096, _EXIT),
        "subprograms": (Instruction(0x85, src=1, imm=1), _EXIT, _ZERO, _EXIT),
    }
)

#: Settings that decide what may be loaded and how it runs.
_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "kernel.unprivileged_bpf_disabled": "/proc/sys/kernel/unprivileged_bpf_disabled",
        "kernel.bpf_stats_enabled": "/proc/sys/kernel/bpf_stats_enabled",
        "kernel.kptr_restrict": "/proc/sys/kernel/kptr_restrict",
        "net.core.bpf_jit_enable": "/proc/sys/net/core/bpf_jit_enable",
        "net.core.bpf_jit_harden": "/proc/sys/net/core/bpf_jit_harden",
        "net.core.bpf_jit_kallsyms": "/proc/sys/net/core/bpf_jit_kallsyms",
        "net.core.bpf_jit_limit": "/proc/sys/net/core/bpf_jit_limit",
    }
)

#: Options of the build that switch whole areas on.
_OPTIONS = (
    "CONFIG_BPF_SYSCALL",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_JIT_ALWAYS_ON",
    "CONFIG_BPF_UNPRIV_DEFAULT_OFF",
    "CONFIG_BPF_LSM",
    "CONFIG_BPF_EVENTS",
    "CONFIG_BPF_KPROBE_OVERRIDE",
    "CONFIG_CGROUP_BPF",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_DEBUG_INFO_BTF_MODULES",
    "CONFIG_NET_CLS_BPF",
    "CONFIG_NET_ACT_BPF",
    "CONFIG_LWTUNNEL_BPF",
    "CONFIG_BPF_STREAM_PARSER",
    "CONFIG_XDP_SOCKETS",
    "CONFIG_NETFILTER_BPF_LINK",
    "CONFIG_SCHED_CLASS_EXT",
    "CONFIG_FPROBE",
    "CONFIG_FUNCTION_ERROR_INJECTION",
)


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a kernel may be able to do. ``detail`` is a setting's value, or why it is not
    supported; ``helpers`` are a program type's."""

    area: str
    name: str
    supported: bool
    detail: str = ""
    helpers: tuple[str, ...] = ()


def detect() -> Iterator[Feature]:
    """Every feature, area by area; raises KernelError if this process may not load programs at all."""
    KernelProgram.load(ProgramType.SOCKET_FILTER, _RETURN_0).close()
    names = helper_names()
    for program_type in ProgramType:
        if program_type > ProgramType.UNSPEC:
            reason = why_no_program_type(program_type)
            helpers = () if reason else tuple(helpers_of(program_type, names))
            yield Feature("program type", program_type.label, not reason, reason, helpers)
    for map_type in MapType:
        if map_type is not MapType.UNSPEC:
            reason = why_no_map_type(map_type)
            yield Feature("map type", map_type.label, not reason, reason)
    for area, programs in (("instruction", _INSTRUCTIONS), ("ability", _ABILITIES)):
        for name, code in programs.items():
            yield Feature(area, name, _loads(code))
    yield Feature("ability", "types (BTF) of the kernel", _has_kernel_btf())
    for name in kfunc_names():
        yield Feature("kfunc", name, True)
    yield from _settings()


def load_smallest(type: ProgramType, code: Instructions = _RETURN_0) -> KernelProgram:
    """Load ``code`` as a program of a type, about something that every kernel has; raises KernelError."""
    attach_type: int | None = None
    attach_id = 0
    if type in _TARGETS and _has_kernel_btf():
        btf = kernel_btf()
        attach, name, kind = _TARGETS[type]
        attach_id = btf.find(name, kind) or 0
        if isinstance(attach, str):
            names = [member.name for member in btf.members(attach_id)]
            attach_type = names.index(attach) if attach in names else 0
        else:
            attach_type = attach
    return KernelProgram.load(
        type, code, expected_attach_type=attach_type, attach_btf_id=attach_id, kernel_version=kernel_version()
    )


def why_no_program_type(type: ProgramType) -> str:
    """Why programs of a type cannot be loaded, "" if they can."""
    try:
        load_smallest(type).close()
    except KernelError as error:
        # An extension needs the program that it extends; a kernel that asks for one knows the type.
        return "" if type == ProgramType.EXT and error.errno == errno.EINVAL and error.log else error.problem
    return ""


def why_no_map_type(type: MapType) -> str:
    """Why maps of a type cannot be made, "" if they can."""
    spec = _SMALLEST_MAPS[type]
    try:
        if type in _MAPS_OF_MAPS:
            with KernelMap.create(_SMALLEST_MAPS[MapType.ARRAY]) as inner:
                KernelMap.create(spec, inner=inner).close()
        elif type in _STORAGE:
            builder = BtfBuilder()
            integer = builder.integer("int", 4, signed=True)
            with KernelBtf.load(builder.build().encode()) as btf:
                KernelMap.create(replace(spec, key_type_id=integer, value_type_id=integer), btf=btf).close()
        elif type == MapType.STRUCT_OPS:
            KernelMap.create(spec, kernel_type_id=1).close()
        else:
            KernelMap.create(spec).close()
    except KernelError as error:
        # Type 1 of a kernel is an integer and no structure of functions, as a kernel with such maps notices.
        return "" if type == MapType.STRUCT_OPS and error.errno == ENOTSUPP else error.problem
    return ""


def helper_names() -> Mapping[int, str]:
    """The kernel's helpers by number, from its own types; empty where it has none."""
    if not _has_kernel_btf():
        return {}
    found = kernel_btf().find("bpf_func_id", Kind.ENUM)
    type = kernel_btf()[found] if found is not None else None
    prefix = "BPF_FUNC_"
    if not isinstance(type, Enumeration):
        return {}
    return {value.value: value.name.removeprefix(prefix) for value in type.values if value.name.startswith(prefix)}


def helpers_of(type: ProgramType, names: Mapping[int, str]) -> Iterator[str]:
    """The helpers, of those in ``names``, that programs of a type may call."""
    for number, name in names.items():
        if number and has_helper(type, number):
            yield name


def has_helper(type: ProgramType, number: int) -> bool:
    """Whether programs of a type may call a helper (with the right arguments)."""
    try:
        load_smallest(type, (Instruction(0x85, imm=number), _EXIT)).close()
    except KernelError as error:
        return bool(error.log) and not any(word in error.log for word in _NO_HELPER)
    return True


def kfunc_names() -> list[str]:
    """The kernel functions that programs may call, sorted: those that the kernel's types mark so (Linux 6.9)."""
    if not _has_kernel_btf():
        return []
    btf = kernel_btf()
    names = set()
    for tag_id in btf.find_all("bpf_kfunc", Kind.DECL_TAG):
        tag = btf[tag_id]
        if isinstance(tag, DeclTag):
            names.add(btf[tag.target].name)
    return sorted(names)


def _loads(code: Instructions) -> bool:
    try:
        KernelProgram.load(ProgramType.SOCKET_FILTER, code).close()
    except KernelError:
        return False
    return True


def _has_kernel_btf() -> bool:
    try:
        kernel_btf()
    except KernelError:
        return False
    return True


def _settings() -> Iterator[Feature]:
    for name, path in _SETTINGS.items():
        try:
            yield Feature("setting", name, True, Path(path).read_text(encoding="ascii").strip())
        except OSError:
            yield Feature("setting", name, False)
    try:
        options = kernel_config()
    except KernelError:
        return
    for option in _OPTIONS:
        yield Feature("option", option, option in options, options.get(option, ""))
