"""Random programs that call one helper with random arguments: what the helper asks for, mostly, and what it does not.

Every helper of every program type whose programs the running kernel can be asked about gets its turn; arguments come
from the packet, the value of a map, a record of a ring buffer, the stack, the context and constants.
"""

from __future__ import annotations

import random
from functools import cache

from skep.objects import AttachType, ProgramSpec
from skep.objects import ProgramType as P
from skep.stdlib import prototypes
from skep.stdlib.prototype import Argument, ArgumentKind
from tests.verifier.programs import program

_A = AttachType
_K = ArgumentKind

#: Program types, and the attach type of those that need one.
TYPES: dict[P, AttachType | None] = {
    P.XDP: None,
    P.SCHED_CLS: None,
    P.CGROUP_SKB: _A.CGROUP_INET_EGRESS,
    P.LWT_IN: None,
    P.LWT_XMIT: None,
    P.SK_SKB: None,
    P.FLOW_DISSECTOR: None,
    P.SK_REUSEPORT: None,
    P.SK_MSG: None,
    P.CGROUP_SOCKOPT: _A.CGROUP_GETSOCKOPT,
    P.KPROBE: None,
    P.RAW_TRACEPOINT: None,
    P.TRACEPOINT: None,
    P.PERF_EVENT: None,
    P.SOCK_OPS: None,
    P.CGROUP_SOCK: _A.CGROUP_INET_SOCK_CREATE,
    P.CGROUP_SOCK_ADDR: _A.CGROUP_INET4_CONNECT,
    P.CGROUP_SYSCTL: _A.CGROUP_SYSCTL,
    P.CGROUP_DEVICE: _A.CGROUP_DEVICE,
    P.SK_LOOKUP: _A.SK_LOOKUP,
    P.SYSCALL: None,
    P.SOCKET_FILTER: None,
    P.NETFILTER: _A.NETFILTER,
}
#: Where the context holds the start and the end of data, and the bits of either.
_DATA: dict[P, tuple[int, int, int]] = {
    P.XDP: (0, 4, 32),
    **dict.fromkeys((P.SCHED_CLS, P.CGROUP_SKB, P.LWT_IN, P.LWT_XMIT, P.SK_SKB, P.FLOW_DISSECTOR), (76, 80, 32)),
    **dict.fromkeys((P.SK_REUSEPORT, P.SK_MSG), (0, 8, 64)),
    P.CGROUP_SOCKOPT: (8, 16, 64),
}
_MAPS = (
    *("array", "hash", "percpu", "lru", "jumps", "events", "stacks", "ring", "devices", "sockets", "queue"),
    *("readonly", "constants", "outer"),
)
_VALUES = ("hash", "array", "percpu", "lru", "readonly", "constants")
#: Left out: what wants objects in map values, and what the kernel refuses by its settings.
_LEFT_OUT = frozenset(
    {
        *("timer_init", "timer_set_callback", "timer_start", "timer_cancel"),
        *("override_return", "send_signal", "send_signal_thread", "probe_write_user"),
    }
)
_MAP_KINDS = frozenset({_K.MAP})
_NUMBER_KINDS = frozenset({_K.SIZE, _K.SIZE_OR_ZERO, _K.ALLOCATION_SIZE, _K.ANYTHING})


@cache
def _permitted(type: P) -> tuple[str, ...]:
    return tuple(
        name
        for name, number in prototypes.NUMBERS.items()
        if number and name not in _LEFT_OUT and prototypes.permitted(number, type, TYPES[type])
    )


def random_program(seed: int) -> ProgramSpec:
    """The program of a seed."""
    chance = random.Random(seed)
    type = chance.choice(list(TYPES))
    helper = chance.choice(_permitted(type))
    lines = ["r6 = r1"]
    lines += [f"*(u64 *)(r10 - {offset}) = {chance.choice((0, 0, 0, 1, 5))}" for offset in range(8, 56, 8)]
    source = chance.choice(("value", "record", *(("packet",) * 3 if type in _DATA else ())))
    lines += _memory(chance, type, source)
    prototype = prototypes.prototype(prototypes.NUMBERS[helper], type)
    lines += [_argument(chance, index, one) for index, one in enumerate(prototype.arguments, 1)]
    lines.append(f"call bpf_{helper}")
    if chance.random() < 0.4:
        lines.append(chance.choice(("r0 += 1", "r8 = r0", "r8 = r0")))
    if source == "record":
        lines += ["if r7 == 0 goto out", "r1 = r7", "r2 = 0", "call bpf_ringbuf_discard"]
    lines += [f"out: r0 = {0 if chance.random() < 0.9 else 1}", "exit"]
    return program("\n".join(lines), type, attach_type=TYPES[type])


def _memory(chance: random.Random, type: P, source: str) -> list[str]:
    """What puts a pointer to memory into r7."""
    if source == "packet":
        start, end, bits = _DATA[type]
        return [
            *(f"r7 = *(u{bits} *)(r6 + {start})", f"r3 = *(u{bits} *)(r6 + {end})"),
            *("r2 = r7", "r2 += 64", "if r2 > r3 goto out"),
        ]
    if source == "value":
        return [
            *("r2 = r10", "r2 += -8", f"r1 = map[{chance.choice(_VALUES)}] ll"),
            *("call bpf_map_lookup_elem", "if r0 == 0 goto out", "r7 = r0"),
        ]
    return [
        *("r1 = map[ring] ll", "r2 = 32", "r3 = 0", "call bpf_ringbuf_reserve"),
        *("if r0 == 0 goto out", "r7 = r0"),
    ]


def _argument(chance: random.Random, index: int, wanted: Argument) -> str:
    """What puts an argument into its register."""
    if wanted.kind in _MAP_KINDS:
        likely = ["map"] * 12
    elif wanted.kind is _K.CONTEXT:
        likely = ["context"] * 12
    elif wanted.kind in _NUMBER_KINDS:
        likely = ["number"] * 12
    else:
        likely = ["stack"] * 5 + ["memory"] * 6
    if chance.random() < 0.25:
        likely += ["stack", "memory", "number", "context", "map"]
    match chance.choice(likely):
        case "context":
            return f"r{index} = r6"
        case "memory":
            moved = f"\nr{index} += {chance.choice((0, 0, 4, 8, 60))}" if chance.random() < 0.2 else ""
            return f"r{index} = r7{moved}"
        case "map":
            return f"r{index} = map[{chance.choice(_MAPS)}] ll"
        case "number":
            return f"r{index} = {chance.choice((0, 0, 1, 4, 8, 8, 16, 16, 32, 48, 64, -1))}"
        case _:
            return f"r{index} = r10\nr{index} += -{chance.choice((8, 16, 16, 24, 32, 48, 48, 64, 4))}"
