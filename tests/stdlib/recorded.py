"""What the kernel answered to calls of packet helpers, kept so that machines without bpf(2) can be held to it.

``packet_answers.jsonl`` has one case a line: program type, packet, calls, and the kernel's result. Record anew, on
Linux 6.18 with the right to use bpf(2):

    python -m tests.stdlib.recorded
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skep.objects.kinds import ProgramType
from tests.stdlib.packet_calls import Argument, Call, Result, Room, in_kernel

FILE = Path(__file__).with_name("packet_answers.jsonl")
_EACH = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One program and what the kernel made of it."""

    program: ProgramType
    data: bytes
    calls: tuple[Call, ...]
    result: Result


def _written(argument: Argument) -> Any:
    if isinstance(argument, Room):
        return {"room": argument.size}
    return argument if isinstance(argument, int) else {"bytes": argument.hex()}


def _argument(value: Any) -> Argument:
    if isinstance(value, dict):
        return Room(value["room"]) if "room" in value else bytes.fromhex(value["bytes"])
    return int(value)


def cases() -> Iterator[Case]:
    """The recorded cases."""
    for line in FILE.read_text(encoding="ascii").splitlines():
        case = json.loads(line)
        calls = tuple(Call(name, tuple(_argument(one) for one in arguments)) for name, arguments in case["calls"])
        result = Result(case["value"], bytes.fromhex(case["packet"]), bytes.fromhex(case["seen"]))
        yield Case(ProgramType(case["program"]), bytes.fromhex(case["data"]), calls, result)


_IPV4 = bytes.fromhex("0800450000280000000040060000" + "0a0000010a000002") + bytes(range(20))
_IPV6 = bytes.fromhex("86dd6000000000140640") + bytes(range(32)) + bytes(range(20))
_BODIES = (
    _IPV4,
    _IPV6,
    bytes.fromhex("81000005") + _IPV4,
    bytes.fromhex("88a8000681000007") + _IPV6,
    b"\x08\x06" + bytes(28),
)
_TC = ProgramType.SCHED_CLS
_XDP = ProgramType.XDP
_SIZES = (0, 1, 4, 14, 20, 40, 64, 100, 0xFFFF, 0x10000, 0xFFFFFFFF)


def _makers(source: random.Random) -> dict[str, tuple[ProgramType, Callable[[], tuple[Argument, ...]]]]:
    pick = source.choice

    def step() -> int:
        return pick((pick((-256, -216, -60, -20, -4, 0, 1, 4, 20, 60, 3420, 3600)), source.randrange(-300, 300)))

    def replace() -> tuple[Argument, ...]:
        return (
            pick((24, 25, 50, 90)),
            pick((0, 1, 0xFFFF, 0x0A000001)),
            source.getrandbits(32),
            pick((0, 2, 4, 0x14, 0x20, 3)),
        )

    return {
        "skb_load_bytes": (_TC, lambda: (pick(_SIZES), Room(), pick((1, 4, 20)))),
        "skb_load_bytes_relative": (_TC, lambda: (pick(_SIZES), Room(), pick((1, 20)), pick((0, 1, 2)))),
        "skb_store_bytes": (_TC, lambda: (pick(_SIZES), source.randbytes(6), pick((1, 6)), pick((0, 1, 2, 4)))),
        "l3_csum_replace": (_TC, replace),
        "l4_csum_replace": (_TC, replace),
        "csum_diff": (
            _TC,
            lambda: (
                source.randbytes(16),
                pick((0, 3, 16)),
                source.randbytes(16),
                pick((0, 5, 16)),
                source.getrandbits(32),
            ),
        ),
        "skb_pull_data": (_TC, lambda: (pick(_SIZES),)),
        "skb_change_type": (_TC, lambda: (pick((0, 3, 4)),)),
        "skb_change_head": (_TC, lambda: (pick(_SIZES), pick((0, 0, 0, 1)))),
        "skb_change_tail": (_TC, lambda: (pick(_SIZES), pick((0, 0, 0, 1)))),
        "skb_change_proto": (_TC, lambda: (pick((0x0008, 0xDD86, 0x0608)), pick((0, 0, 1)))),
        "skb_adjust_room": (
            _TC,
            lambda: (
                pick((-40, -20, 8, 20, 40, 4096)) & 0xFFFFFFFF,
                pick((0, 1, 2)),
                pick((0, 2, 4, 10, 20, 6, 128, 256, 512)),
            ),
        ),
        "skb_vlan_push": (_TC, lambda: (pick((0x0081, 0xA888, 7)), source.getrandbits(16))),
        "skb_vlan_pop": (_TC, tuple),
        "skb_set_tstamp": (_TC, lambda: (pick((0, 5)), pick((0, 1, 2, 3)))),
        "csum_level": (_TC, lambda: (pick((0, 1, 2, 3, 4)),)),
        "redirect": (_TC, lambda: (3, pick((0, 1, 2)))),
        "xdp_adjust_head": (_XDP, lambda: (step(),)),
        "xdp_adjust_meta": (_XDP, lambda: (step(),)),
        "xdp_adjust_tail": (_XDP, lambda: (step(),)),
        "xdp_store_bytes": (_XDP, lambda: (pick(_SIZES), source.randbytes(8), pick((1, 8)))),
        "xdp_get_buff_len": (_XDP, tuple),
    }


def record() -> list[str]:
    """The lines of the file, asked anew of the running kernel."""
    source = random.Random(618)
    makers = _makers(source)
    lines = []
    for name, (program, _) in makers.items():
        others = [
            other
            for other, (kind, _) in makers.items()
            if kind is program and other.startswith(("skb_vlan", "xdp_adj"))
        ]
        for turn in range(_EACH):
            data = bytes.fromhex("020202020202030303030303") + source.choice(_BODIES)
            before = [source.choice(others)] if turn % 3 == 2 else []
            calls = [Call(one, makers[one][1]()) for one in (*before, name)]
            result = in_kernel(program, data, calls)
            case = {
                "program": int(program),
                "data": data.hex(),
                "calls": [[call.helper, [_written(one) for one in call.arguments]] for call in calls],
                "value": result.value,
                "packet": result.packet.hex(),
                "seen": result.seen.hex(),
            }
            if len(result.packet) < 600:
                lines.append(json.dumps(case, separators=(",", ":")))
    return lines


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in record()), encoding="ascii")
