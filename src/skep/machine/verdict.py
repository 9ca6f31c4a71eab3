"""Which packets survive a program: what a capture of its output holds.

Source: what the kernel does with the return value of each program type (Documentation/networking/filter.rst,
linux/bpf.h, linux/pkt_cls.h).
"""

from __future__ import annotations

from skep.objects import ProgramType

_XDP_ABORTED, _XDP_DROP = 0, 1
_TC_SHOT, _TC_STOLEN = 2, 4
_TUNNEL_DROP = 2


def kept_bytes(type: ProgramType, retval: int, length: int) -> int:
    """How many leading bytes of a packet of ``length`` bytes go on after ``retval`` (32 bits unsigned); 0: none
    does."""
    match type:
        case ProgramType.XDP:
            return 0 if retval in (_XDP_ABORTED, _XDP_DROP) or retval > 4 else length
        case ProgramType.SCHED_CLS | ProgramType.SCHED_ACT:
            return 0 if retval in (_TC_SHOT, _TC_STOLEN) else length
        case ProgramType.SOCKET_FILTER:
            return min(retval, length)
        case ProgramType.CGROUP_SKB:
            return length if retval & 1 else 0
        case ProgramType.LWT_IN | ProgramType.LWT_OUT | ProgramType.LWT_XMIT | ProgramType.LWT_SEG6LOCAL:
            return 0 if retval == _TUNNEL_DROP else length
        case _:
            return length
