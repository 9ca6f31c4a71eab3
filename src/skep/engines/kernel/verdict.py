"""What the kernel's verifier says of a program: yes or no, why, and what it took.

The statistics stand in the last lines of its log, the same since Linux 5.2: ``processed 12 insns (limit 1000000)
max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1``, and at level 4 ``stack depth 8+16``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skep.engines.kernel.programs import last_word, reason_lines

_PROCESSED = re.compile(
    r"^processed (\d+) insns \(limit \d+\) max_states_per_insn (\d+) total_states (\d+) peak_states (\d+)",
    re.MULTILINE,
)
_STACK = re.compile(r"^stack depth ([\d+]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``message`` is the reason of a refusal, empty if accepted, ``lines`` the lines that it was made of (the last is
    the message proper), ``log`` all that the verifier wrote at the level asked for.

    ``processed`` is how many instructions it looked at, ``states`` and ``peak_states`` how many states it kept in
    all and at once, ``stack`` the stack depth in bytes of each function; -1 and nothing where the log does not say.
    """

    accepted: bool
    message: str
    log: str
    errno: int = 0
    processed: int = -1
    states: int = -1
    peak_states: int = -1
    stack: tuple[int, ...] = ()
    lines: tuple[str, ...] = ()


def read_verdict(log: str, errno: int = 0) -> Verdict:
    """The verdict that a log tells of; ``errno`` is 0 where the program was accepted."""
    counts = _PROCESSED.search(log)
    processed, _, states, peak = (int(text) for text in counts.groups()) if counts else (-1,) * 4
    stack = _STACK.search(log)
    return Verdict(
        accepted=not errno,
        message=last_word(log) if errno else "",
        log=log,
        errno=errno,
        processed=processed,
        states=states,
        peak_states=peak,
        stack=tuple(int(depth) for depth in stack[1].split("+")) if stack else (),
        lines=reason_lines(log) if errno else (),
    )
