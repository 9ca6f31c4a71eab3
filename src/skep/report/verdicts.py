"""What ``skep verify`` prints: an answer for each program, and a table where there are several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from skep.verifier import Report as Verdict

#: What verdicts look like.
_COLOURS = {"accept": "green", "reject": "red", "unsupported": "yellow"}
#: What the lines of an answer look like.
_STYLES = {
    "": "",
    "heading": "bold",
    "message": "bold",
    "code": "dim",
    "fault": "red",
    "dim": "dim",
    "advice": "green",
}


class Report:
    """Prints verdicts as they come, to standard output; of ``several`` a table follows, with the accepted ones."""

    def __init__(self, *, as_json: bool = False, several: bool = False) -> None:
        self._as_json = as_json
        self._several = several
        self._console: Console | None = None
        self._is_first = True

    def verdict(self, report: Verdict) -> None:
        """One program."""
        if self._as_json:
            print(json.dumps(report.as_json()))
            return
        if report.log:
            self._plain(report.log.rstrip("\n"))
        if self._several and report.accepted:
            return
        if not self._is_first:
            self._plain("")
        self._is_first = False
        self._print(_heading(report))
        self._answer(report)

    def summary(self, reports: Sequence[Verdict]) -> None:
        """All programs, one a line, and how many got which verdict."""
        if self._as_json or not self._several:
            return
        files = list(dict.fromkeys(_file(one) for one in reports))
        for file in files:
            if not self._is_first:
                self._plain("")
            self._is_first = False
            if len(files) > 1:
                self._plain(file)
            self._print(_table([one for one in reports if _file(one) == file]))
        counts = {verdict: sum(one.verdict == verdict for one in reports) for verdict in _COLOURS}
        words = {"accept": "accepted", "reject": "rejected", "unsupported": "not decided"}
        self._plain(", ".join(f"{count} {words[verdict]}" for verdict, count in counts.items() if count))

    def _answer(self, report: Verdict) -> None:
        from rich.text import Text

        from skep.verifier.answers.layout import lines_of

        for line in lines_of(report, self._opened().width):
            self._print(Text(line.text, style=_STYLES[line.style]))

    def _opened(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False)
        return self._console

    def _print(self, what: Text | Table) -> None:
        self._opened().print(what, soft_wrap=True)

    def _plain(self, text: str) -> None:
        self._opened().print(text, soft_wrap=True, markup=False)


def _file(report: Verdict) -> str:
    return (report.program.file if report.program is not None else None) or ""


def _heading(report: Verdict) -> Text:
    from rich.text import Text

    text = Text(report.verdict, style=f"bold {_COLOURS[report.verdict]}")
    text.append(f" {report.program_name}", style="bold")
    program = report.program
    if program is not None:
        kind = program.type.label if program.type is not None else "of unknown type"
        about = f" ({kind}, section {program.section})"
        text.append(about + (f" in {program.file}" if program.file else ""), style="not bold")
    if report.other_kernel is not None:
        text.append(f", for Linux {report.kernel}", style="not bold")
    text.append(f", {report.milliseconds:.1f} ms", style="dim")
    return text


def _table(reports: Sequence[Verdict]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="dim", box=None, pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("program", no_wrap=True)
    table.add_column("instructions", justify="right", no_wrap=True)
    table.add_column("stack", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold", min_width=20)
    for one in reports:
        table.add_row(
            Text(one.verdict, style=_COLOURS[one.verdict]),
            Text(one.program_name),
            f"{one.processed:,}",
            str(sum(one.stack_depth)),
            f"{one.milliseconds:.1f}",
            Text(one.message),
        )
    return table
