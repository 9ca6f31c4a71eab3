"""What a test run takes and gives, per program type: packet, context, repeat count, choice of CPU.

A type without a row has no test run in any kernel; whether one with a row has it in the running kernel, that one says
itself. To a field that it has no place for the kernel answers EINVAL, without naming it; with this table the request
is refused here, by name.
Sources: Documentation/bpf/bpf_prog_run.rst; ``*_test_run`` operations of Linux 6.18, each row tried on that kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skep.objects.kinds import ProgramType


@dataclass(frozen=True, slots=True)
class TestRunRules:
    """The shape of one type's test run; sizes in bytes.

    ``least_data`` is the shortest packet (an Ethernet header, as the kernel takes the packet apart),
    ``context_size`` the size of the context that comes out. ``default_context`` makes the one that goes in when
    none is given, from the length of the packet: without it the kernel takes none, or takes zeroes for what they
    say (an empty packet, in XDP). ``context_in_place``: the kernel writes the changed context over the one that
    went in.
    """

    __test__ = False  # the name begins with "Test", which pytest collects

    takes_data: bool = False
    returns_data: bool = False
    least_data: int = 0
    takes_context: bool = False
    returns_context: bool = False
    context_in_place: bool = False
    context_size: int = 0
    repeats: bool = True
    chooses_cpu: bool = False
    default_context: Callable[[int], bytes] | None = None


#: A lookup of a socket must say for which family and protocol.
_IPV4, _TCP = 2, 6

_SOCKET_BUFFER = TestRunRules(
    takes_data=True, returns_data=True, least_data=14, takes_context=True, returns_context=True, context_size=192
)

TEST_RUNS: Mapping[ProgramType, TestRunRules] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                ProgramType.SOCKET_FILTER,
                ProgramType.SCHED_CLS,
                ProgramType.SCHED_ACT,
                ProgramType.CGROUP_SKB,
                ProgramType.LWT_IN,
                ProgramType.LWT_OUT,
                ProgramType.LWT_XMIT,
                # Linux 6.18 as it was tried here loads it and does not run it.
                ProgramType.LWT_SEG6LOCAL,
            ),
            _SOCKET_BUFFER,
        ),
        ProgramType.XDP: TestRunRules(
            takes_data=True,
            returns_data=True,
            least_data=14,
            takes_context=True,
            returns_context=True,
            context_size=24,
            default_context=lambda length: struct.pack("=6I", 0, length, 0, 0, 0, 0),
        ),
        ProgramType.FLOW_DISSECTOR: TestRunRules(
            takes_data=True, returns_data=True, least_data=14, takes_context=True
        ),
        ProgramType.NETFILTER: TestRunRules(takes_data=True, least_data=20),
        ProgramType.SK_LOOKUP: TestRunRules(
            takes_context=True, default_context=lambda length: struct.pack("=8x2I56x", _IPV4, _TCP)
        ),
        ProgramType.SYSCALL: TestRunRules(
            takes_context=True, context_in_place=True, returns_context=True, repeats=False
        ),
        ProgramType.RAW_TRACEPOINT: TestRunRules(takes_context=True, repeats=False, chooses_cpu=True),
        ProgramType.TRACING: TestRunRules(repeats=False),
    }
)
