"""The ranges of return values are those that the running kernel demands."""

from __future__ import annotations

import re

import pytest

from skep.isa.instruction import Instruction
from skep.objects.kinds import AttachType, ProgramType
from skep.programs import return_range
from tests.programs import kernel_oracle as kernel
from tests.stdlib.kernel_probe import SITES, Site, call

#: Types whose attach types decide the range but not the helpers, and so are not among the sites of the probe.
MORE = [
    Site(program, attach)
    for program, names in (
        (ProgramType.CGROUP_SKB, ("CGROUP_INET_INGRESS", "CGROUP_INET_EGRESS")),
        (ProgramType.CGROUP_SOCK, ("CGROUP_INET_SOCK_CREATE", "CGROUP_INET4_POST_BIND", "CGROUP_INET_SOCK_RELEASE")),
        (ProgramType.KPROBE, ("TRACE_KPROBE_MULTI", "TRACE_KPROBE_SESSION", "TRACE_UPROBE_SESSION")),
        (ProgramType.SK_SKB, ("SK_SKB_STREAM_PARSER", "SK_SKB_VERDICT")),
        (ProgramType.SK_REUSEPORT, ("SK_REUSEPORT_SELECT", "SK_REUSEPORT_SELECT_OR_MIGRATE")),
    )
    for attach in (AttachType[name] for name in names)
]


@pytest.mark.skipif(not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18")
@pytest.mark.parametrize("site", [*SITES, *MORE], ids=lambda site: f"{site.program.label} {site.attach or ''}")
def test_the_kernel_demands_the_same_range(site: Site) -> None:
    if site.program is ProgramType.STRUCT_OPS:
        pytest.skip("depends on the operation")
    answer = site.load((call(7), Instruction(0xBF), Instruction(0x95)))
    demanded = re.search(r"should have been in \[(-?\d+), (-?\d+)\]", answer.log)
    assert answer.accepted == (demanded is None)
    there = (int(demanded[1]), int(demanded[2])) if demanded else None
    assert return_range(site.program, site.attach) == there


def test_an_attach_type_narrows_or_widens_the_range_of_its_type() -> None:
    assert return_range(ProgramType.CGROUP_SKB) == (0, 1)
    assert return_range(ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS) == (0, 3)
    assert return_range(ProgramType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UDP4_RECVMSG) == (1, 1)
    assert return_range(ProgramType.XDP, AttachType.XDP_DEVMAP) is None
