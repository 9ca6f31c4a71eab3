"""What differs between a kernel and any other place by nature, and what a comparison does about it.

The time, random numbers, who the current process is: no two runs agree on them, nor should they. A call of a helper
that only returns such a number is replaced, on every engine alike, by an instruction that returns a constant; what
the program makes of the number is then compared like everything else. A program that gets such things in memory, or
that would do something to the computer, cannot be treated so: it is not run in the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from skep.isa import BY_NAME, Instruction, Instructions, row_of
from skep.isa.meaning import Call
from skep.objects import ProgramSpec
from skep.objects.spec import KfuncReference, KsymReference
from skep.stdlib.prototypes import NUMBERS

#: Helpers whose result is a number that is of one moment or of one computer, and that do nothing else.
_MOMENTARY = frozenset(
    NUMBERS[name]
    for name in (
        "ktime_get_ns",
        "ktime_get_boot_ns",
        "ktime_get_coarse_ns",
        "ktime_get_tai_ns",
        "jiffies64",
        "get_prandom_u32",
        "get_numa_node_id",
        "get_current_pid_tgid",
        "get_current_uid_gid",
        "get_current_cgroup_id",
        "get_current_ancestor_cgroup_id",
        "get_current_task",
        "get_cgroup_classid",
        "skb_cgroup_id",
        "get_route_realm",
        "get_hash_recalc",
        "get_socket_cookie",
        "get_socket_uid",
        "get_netns_cookie",
    )
)

#: Helpers whose answers are this computer's, and lie in memory, or that act beyond the program.
_OF_THE_COMPUTER: Mapping[int, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                NUMBERS[name]
                for name in ("fib_lookup", "check_mtu", "sk_lookup_tcp", "sk_lookup_udp", "skc_lookup_tcp")
            ),
            "asks for this computer's routes, devices or sockets",
        ),
        **dict.fromkeys(
            (NUMBERS[name] for name in ("get_current_comm", "get_ns_current_pid_tgid")),
            "asks which process is running",
        ),
        **dict.fromkeys(
            (NUMBERS[name] for name in ("clone_redirect", "send_signal", "send_signal_thread")),
            "would act on this computer",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A program to compare: ``replaced`` are the helpers whose calls give constants, ``own`` maps the helpers
    and kernel symbols that keep it out of the kernel to the reason."""

    spec: ProgramSpec
    replaced: tuple[str, ...]
    own: Mapping[str, str]


def settle(spec: ProgramSpec) -> Settled:
    """``spec`` and the programs in its program arrays, with constants for what is of one moment."""
    everything = _reached(spec)
    settled: dict[str, ProgramSpec] = {}
    siblings = MappingProxyType(settled)
    for name, one in everything.items():
        settled[name] = replace(one, instructions=_constant(one.instructions), siblings=siblings)
    called = {number for one in everything.values() for number in helpers_called(one.instructions)}
    names = {number: f"bpf_{name}" for name, number in NUMBERS.items()}
    replaced = tuple(sorted(names[number] for number in called & _MOMENTARY))
    own = {names[number]: _OF_THE_COMPUTER[number] for number in sorted(called) if number in _OF_THE_COMPUTER}
    for one in everything.values():
        for reference in one.references.values():
            if isinstance(reference, KfuncReference | KsymReference):
                own[reference.name] = "is a part of the kernel that there is only there"
    return Settled(settled[spec.name], replaced, own)


def _reached(spec: ProgramSpec) -> dict[str, ProgramSpec]:
    """The program and all that its program arrays may lead to."""
    found: dict[str, ProgramSpec] = {}
    waiting = [spec]
    while waiting:
        one = waiting.pop()
        if one.name not in found:
            found[one.name] = one
            members = {name for each in one.maps.values() for name in each.slots.values()}
            waiting += [one.siblings[name] for name in members if name in one.siblings]
    return found


def helpers_called(code: Instructions) -> set[int]:
    """The numbers of the helpers that instructions call."""
    return {instruction.imm for instruction in code if _is_helper_call(instruction)}


def _is_helper_call(instruction: Instruction) -> bool:
    row = row_of(instruction)
    return row is not None and isinstance(row.meaning, Call) and row.meaning.target == "helper"


def _constant(code: Instructions) -> Instructions:
    """Each call of a momentary helper as a move of a number that no other such call gives."""
    move = BY_NAME["mov64_imm"].opcode
    return tuple(
        Instruction(move, 0, imm=1_000_003 * (slot + 1) & 0x7FFFFFFF)
        if instruction.imm in _MOMENTARY and _is_helper_call(instruction)
        else instruction
        for slot, instruction in enumerate(code)
    )
