"""What 6.18 refuses and older kernels may accept: rules that came later, and fields that they take for plain bytes.

Source: programs that 6.18 refuses and 6.1, 6.12, 6.16 or 6.17 was seen to accept (``tests/versions/measured``); the
version is the first of these that refuses them.
"""

from __future__ import annotations

import re
from typing import Final

from skep.isa import opcodes
from skep.objects.spec import ProgramSpec
from skep.stdlib.prototypes import NAMES
from skep.versions.need import Needs
from skep.versions.version import KernelVersion

_SLEEPING: Final = "helper call might sleep in a non-sleepable prog|must be sleepable to call sleepable kfunc"
#: Since when the rule is there, what of the message tells it, and what it is.
_ROWS: Final[tuple[tuple[str, str, str], ...]] = (
    ("6.3", "[Dd]ynptr", "before 6.3 other rules held for where dynptrs lie"),
    (
        "6.8",
        "Caller passes invalid args into func#",
        "before 6.8 tags on what global functions take were not looked at",
    ),
    ("6.12", "type=untrusted_ptr_", "before 6.12 fewer pointers to the kernel's objects were told from trusted ones"),
    ("6.12", "verifier bug: backtracking misuse", "6.18 reports a mistake of its own here"),
    ("6.16", "Attaching .* is rejected", "before 6.16 more functions could be attached to"),
    ("6.18", "verifier bug: (callback|subprog)", "6.18 reports a mistake of its own here"),
    ("6.18", _SLEEPING, "before 6.18 what a timer calls could sleep in sleepable programs"),
)
_FIELD: Final = re.compile(
    r"kptr|uptr|bpf_\w+ cannot be accessed directly by load/store|progs cannot use bpf_spin_lock"
)


def newer_rule(needs: Needs, message: str, version: KernelVersion) -> str:
    """Why a version may accept what 6.18 refuses with ``message``; empty if nothing is known of that."""
    if _FIELD.search(message) and any(one.area == "map field" and one.since > version for one in needs.all):
        return f"Linux {version} takes fields that it does not know for plain bytes"
    for since, pattern, text in _ROWS:
        if version < KernelVersion.of(since) and re.search(pattern, message):
            return text if pattern != _SLEEPING or _calls_later(needs.program) else ""
    return ""


def _calls_later(program: ProgramSpec) -> bool:
    """Whether it has something called by a timer."""
    return any(
        one.opcode == opcodes.JMP | opcodes.CALL
        and one.src == opcodes.CALL_HELPER
        and NAMES.get(one.imm) == "timer_set_callback"
        for one in program.instructions
    )
