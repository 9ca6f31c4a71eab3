"""What a tracing program is about: the kernel's BTF id of the function or tracepoint that it names.

The kernel numbers an attach point by its type: a function for fentry, fexit and fmod_ret, a typedef ``btf_trace_…``
for a tracepoint, a function ``bpf_lsm_…`` for an LSM hook, a function ``bpf_iter_…`` for an iterator.
"""

from __future__ import annotations

from skep.btf.kinds import Kind
from skep.engines.kernel.system_types import find_type
from skep.errors import LoadError
from skep.objects.kinds import AttachType, ProgramType
from skep.objects.spec import ProgramSpec

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


def attach_btf_id(spec: ProgramSpec, type: ProgramType) -> int:
    """The BTF id of what the program attaches to, 0 for types that have none; raises LoadError if it is missing."""
    if type not in (ProgramType.TRACING, ProgramType.LSM) or spec.attach_type is None:
        return 0
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
    return found.id
