"""The range that the kernel's verifier demands of a program's return value, where it demands one.

Measured: Linux 6.18 was asked to load programs that return a number it knows nothing of (``tests/programs`` repeats
this), and another Linux 6.18 for TRACING at the entry and exit of functions, and LSM; that stands for hooks that
return an error number. What a struct_ops program may return depends on the operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skep.objects.kinds import AttachType, ProgramType

#: The lowest and highest permitted value, as 64-bit signed numbers.
Range = tuple[int, int]

_T = ProgramType
_A = AttachType
_YES_OR_NO: Range = (0, 1)
#: On top of the verdict, bit 1 says more: congestion on egress, an address that may be bound without the right to.
_WITH_EXTRA: Range = (0, 3)
_ALWAYS_YES: Range = (1, 1)
_MAX_ERRNO = 4095

#: By program type; a type that is missing may return anything.
BY_TYPE: Mapping[ProgramType, Range] = MappingProxyType(
    {
        _T.CGROUP_SKB: _YES_OR_NO,
        _T.CGROUP_SOCK: _YES_OR_NO,
        _T.CGROUP_SOCK_ADDR: _YES_OR_NO,
        _T.CGROUP_DEVICE: _YES_OR_NO,
        _T.CGROUP_SYSCTL: _YES_OR_NO,
        _T.CGROUP_SOCKOPT: _YES_OR_NO,
        _T.SOCK_OPS: _YES_OR_NO,
        _T.SK_LOOKUP: _YES_OR_NO,
        _T.NETFILTER: _YES_OR_NO,
        _T.LSM: (-_MAX_ERRNO, 0),
    }
)

_REPORTS_ONLY = (
    _A.CGROUP_UDP4_RECVMSG,
    _A.CGROUP_UDP6_RECVMSG,
    _A.CGROUP_UNIX_RECVMSG,
    _A.CGROUP_INET4_GETPEERNAME,
    _A.CGROUP_INET6_GETPEERNAME,
    _A.CGROUP_UNIX_GETPEERNAME,
    _A.CGROUP_INET4_GETSOCKNAME,
    _A.CGROUP_INET6_GETSOCKNAME,
    _A.CGROUP_UNIX_GETSOCKNAME,
)

#: By program and attach type, where that differs.
BY_ATTACH_TYPE: Mapping[tuple[ProgramType, AttachType], Range] = MappingProxyType(
    {
        (_T.CGROUP_SKB, _A.CGROUP_INET_EGRESS): _WITH_EXTRA,
        (_T.CGROUP_SOCK_ADDR, _A.CGROUP_INET4_BIND): _WITH_EXTRA,
        (_T.CGROUP_SOCK_ADDR, _A.CGROUP_INET6_BIND): _WITH_EXTRA,
        **{(_T.CGROUP_SOCK_ADDR, attach): _ALWAYS_YES for attach in _REPORTS_ONLY},
        (_T.TRACING, _A.TRACE_ITER): _YES_OR_NO,
        (_T.TRACING, _A.TRACE_FENTRY): (0, 0),
        (_T.TRACING, _A.TRACE_FEXIT): (0, 0),
        (_T.KPROBE, _A.TRACE_KPROBE_SESSION): _YES_OR_NO,
        (_T.KPROBE, _A.TRACE_UPROBE_SESSION): _YES_OR_NO,
        (_T.LSM, _A.LSM_CGROUP): _YES_OR_NO,
    }
)


def return_range(program: ProgramType, attach_type: AttachType | None = None) -> Range | None:
    """The lowest and highest value that a program may return, as 64-bit signed numbers; None if any will do."""
    if attach_type is not None and (found := BY_ATTACH_TYPE.get((program, attach_type))) is not None:
        return found
    return BY_TYPE.get(program)
