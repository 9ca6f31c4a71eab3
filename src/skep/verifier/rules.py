"""The rules that came to the verifier one by one: since which version of Linux each holds.

Where the verifier of another kernel is known to do otherwise and that can be told in a few lines, it is done as that
kernel does it, so that the verdict and its message are that kernel's. What is not told here is in
:mod:`skep.versions.strictness`.

Source: verdicts of Linux 6.1, 6.12, 6.16 and 6.17 on programs that 6.18 accepts (``tests/versions/measured``);
between these, the releases that the commits are in: stack that was never written (6.3, 6715df8d5d24), immediates
stored to the context (6.4, 0d80a619c113), two unknown numbers compared (6.8, 67420501e868), numbers a constant
apart (6.10, 98d7ca374ba4), stacks of their own (6.13, a76ab5731e32), lookups by a known key and what helpers read
(6.14, d2102f2f5d75), products of signed numbers (6.14, 9aa0ebde0014), sums that wrap as a whole (6.17,
7a998a731627), negation (6.17, aced132599b3), bits of products (6.18, 1df7dad4d5c4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from skep.versions import KernelVersion


@dataclass(frozen=True, slots=True)
class Rules:
    """What the verifier of one version does; as they stand here, those of the newest."""

    #: Bytes of the stack that nothing wrote may be read.
    reads_unwritten: bool = True
    #: Immediates may be stored to the context.
    stores_to_context: bool = True
    #: A comparison of two unknown numbers bounds both.
    compares_ranges: bool = True
    #: What is learnt of a number is learnt of it plus a positive constant.
    links_sums: bool = True
    #: The same of any constant, in 32 bits too.
    links_differences: bool = True
    #: Large functions of tracing programs have stacks of their own.
    private_stacks: bool = True
    #: A lookup in an array by a number in range finds something.
    known_keys: bool = True
    #: Where a pointer leads that is to no structure (in the kernel, by a cast, as an untrusted argument) may be read.
    plain_pointers: bool = True
    #: A sum whose both ends wrap keeps its range.
    wraps: bool = True
    #: The range of a negated number is known.
    negates: bool = True
    #: Bits of a product are known as well as long multiplication tells.
    products: bool = True
    #: The range of a product is known where a factor may be negative or large.
    signed_products: bool = True
    #: Numbers of which a bit is known to differ are not equal.
    bits_disagree: bool = True
    #: What a helper reads of the stack is known afterwards as before.
    keeps_read: bool = True
    #: A number copied in part or to the stack is known to be the same, where it is.
    links_copies: bool = True
    #: The frames of functions are rounded up to 16 bytes, not to 32.
    small_frames: bool = True
    #: What programs at security hooks return is looked at.
    security_ranges: bool = True
    #: A tail call may have moved the packet.
    tail_calls_move: bool = True
    #: The number of a CPU is below how many there may be.
    counts_cpus: bool = True
    #: A number that is all ones or all zeros is followed as two.
    sign_masks: bool = True
    #: A pointer into an arena may be added to anything.
    arena_sums: bool = True
    #: Signed loads from an arena.
    arena_signs: bool = True
    #: A may_goto may have nothing to leave.
    skips_nothing: bool = True
    #: Behind a tail call in the program itself the packet lies where it lay.
    tail_calls_return: bool = True

    def operation(self, name: str) -> str:
        """The arithmetic operation as this version follows it (a name that `compute` knows)."""
        if name == "mul" and not self.products:
            return "mul, earlier" if self.signed_products else "mul, unsigned"
        if name in ("add", "sub") and not self.wraps:
            return f"{name}, earlier"
        return "unknown" if name == "neg" and not self.negates else name


#: Since when each holds.
SINCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reads_unwritten": "6.3",
        "stores_to_context": "6.4",
        "compares_ranges": "6.8",
        "links_sums": "6.10",
        "links_copies": "6.8",
        "small_frames": "6.12",
        "security_ranges": "6.12",
        "tail_calls_move": "6.13",
        "counts_cpus": "6.12",
        "private_stacks": "6.13",
        "known_keys": "6.14",
        "skips_nothing": "6.14",
        "signed_products": "6.14",
        "keeps_read": "6.14",
        "plain_pointers": "6.17",
        "bits_disagree": "6.17",
        "wraps": "6.17",
        "negates": "6.17",
        "links_differences": "7.0",
        "products": "6.18",
        "sign_masks": "6.18",
        "arena_sums": "7.0",
        "arena_signs": "6.18",
        "tail_calls_return": "6.18",
    }
)
#: What versions were given by later updates: as 6.1.192, 6.12.117 and 6.18.15 have it.
UPDATES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "6.1": frozenset({"reads_unwritten"}),
        "6.12": frozenset({"bits_disagree", "sign_masks", "arena_sums", "tail_calls_move"}),
        "6.18": frozenset({"links_differences", "arena_sums"}),
    }
)
#: The rules of the newest version.
ALL: Final = Rules()


@cache
def rules_of(version: KernelVersion) -> Rules:
    """The rules of one version, as far as they are told apart."""
    # Loaded only where it is asked for: tables of what there was when.
    from skep.versions import NEWEST, KernelVersion

    if version == NEWEST:
        return ALL
    updates = UPDATES.get(str(version), frozenset())
    return Rules(**{name: name in updates or version >= KernelVersion.of(since) for name, since in SINCE.items()})
