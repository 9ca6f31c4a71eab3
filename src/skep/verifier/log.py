"""The log of a verification in the kernel's format, for tools that read that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.verifier.exploration import Explorer
    from skep.verifier.report import Report

_LIMIT = 1_000_000


def log_of(report: Report, explorer: Explorer | None) -> str:
    """What level 4 prints: why the program is refused, if it is, and the sums."""
    lines = [] if report.verdict != "reject" else [*report.details, report.message]
    depth = "+".join(str(size) for size in report.stack_depth) or "0"
    lines += [f"verification time {report.milliseconds * 1e3:.0f} usec", f"stack depth {depth}"]
    most = 0 if explorer is None else explorer.most_states
    lines.append(
        f"processed {report.processed} insns (limit {_LIMIT}) max_states_per_insn {most} "
        f"total_states {report.total_states} peak_states {report.peak_states} mark_read 0"
    )
    return "\n".join(lines) + "\n"
