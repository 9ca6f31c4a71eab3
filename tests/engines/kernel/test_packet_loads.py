"""Legacy packet loads in the kernel, on the interpreter and the JIT: from the start of a packet, from its headers."""

from __future__ import annotations

import pytest

from skep.isa import assemble
from skep.machine import Machine
from skep.objects import ProgramSpec, ProgramType

pytestmark = pytest.mark.usefixtures("nothing_left")

ENGINES = ("kernel", "interpreter", "jit")
#: SKF_LL_OFF and SKF_NET_OFF of linux/filter.h.
LINK, NETWORK = -0x200000, -0x100000
PACKET = bytes(range(1, 13)) + b"\x08\x00" + bytes(range(0x40, 0x40 + 50))
PLACES = (0, 1, 12, 13, 14, 46, 47, 48, 49, 50, 60, 61, 63, 64, 100)
SIZES = ("u8", "u16", "u32")


def answers(type: ProgramType, lines: str) -> dict[str, int]:
    code = assemble(f"r6 = r1\n{lines}\nr0 += 1\nexit").instructions
    spec = ProgramSpec("loads", "", type, code, license="GPL")
    found = {}
    for engine in ENGINES:
        with Machine(engine=engine) as machine:
            found[engine] = machine.load(spec, verify=False).run(PACKET).retval
    return found


@pytest.mark.parametrize("type", [ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS], ids=lambda type: str(type.label))
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("base", [0, NETWORK, LINK], ids=["packet", "network", "link"])
def test_loads_from_constant_places_are_those_of_the_kernel(type: ProgramType, size: str, base: int) -> None:
    for place in PLACES:
        found = answers(type, f"r0 = *({size} *)skb[{base + place}]")
        assert len(set(found.values())) == 1, (base, place, found)


@pytest.mark.parametrize("type", [ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS], ids=lambda type: str(type.label))
def test_loads_from_computed_places_are_those_of_the_kernel(type: ProgramType) -> None:
    # Before each header, at the ends of ranges, and where 32-bit positions wrap.
    for place in (0, 12, -1, -14, LINK, LINK + 12, LINK - 1, NETWORK - 1, NETWORK, -0x80000000, 0x7FFFFFFF):
        for further in (0, 2, -2):
            found = answers(type, f"r7 = {place}\nr0 = *(u8 *)skb[r7 + {further}]")
            assert len(set(found.values())) == 1, (place, further, found)


def test_the_header_before_the_packet_is_read() -> None:
    assert set(answers(ProgramType.SOCKET_FILTER, f"r0 = *(u16 *)skb[{LINK + 12}]").values()) == {0x801}
    assert set(answers(ProgramType.SOCKET_FILTER, f"r0 = *(u16 *)skb[{NETWORK}]").values()) == {0x4042}
