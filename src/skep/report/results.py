"""What ``skep run`` prints: tables for people, or one JSON object a line (``docs/json.md`` describes them)."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from skep.report import maps as map_report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from skep.errors import Fault
    from skep.machine import Machine, Program, Result, Runs


#: A shorter run says more of starting threads than of packets a second.
_MEASURABLE_NS = 100_000_000


class Report:
    """Prints results as they come, to standard output; notes go to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._console: Console | None = None

    def note(self, text: str) -> None:
        """One line that is not part of the result."""
        print(f"skep: {text}", file=sys.stderr)

    def single(self, program: Program, result: Result, repeat: int) -> None:
        """One input's result."""
        if self._as_json:
            self._object(
                "run",
                **_about(program),
                runs=repeat,
                retval=result.retval,
                name=result.name,
                packet=result.packet.hex(),
                context=result.context.hex(),
                ns_per_run=round(result.duration_ns, 1),
            )
            return
        table = _plain_table(f"{program.name} ({program.kind.label}, {program.engine})")
        table.add_row("returned", _value(program, result.retval, result.name))
        table.add_row("time", _duration(result.duration_ns) + (f" a run, {repeat:,} runs" if repeat > 1 else ""))
        if result.packet:
            table.add_row("left" if program.kind.native_size else "memory", f"{len(result.packet)} bytes")
        self._print(table)
        if result.packet:
            self._print(hex_dump(result.packet))

    def runs(self, program: Program, runs: Runs, cpus: int, source: str, written: str | None) -> None:
        """A capture's result."""
        counts = sorted(runs.counts.items(), key=lambda item: (-item[1], item[0]))
        names = {value: program.kind.return_name(value) for value, _ in counts}
        if self._as_json:
            self._object(
                "runs",
                **_about(program),
                cpus=cpus,
                input=source,
                packets=runs.packets,
                retvals=[{"value": value, "name": names[value], "count": count} for value, count in counts],
                ns_per_packet=round(runs.ns_per_packet, 2),
                seconds=round(runs.wall_ns / 1e9, 6),
                written=len(runs.survivors) if written else None,
            )
            return
        from rich.table import Table

        table = Table(
            title=f"{program.name} ({program.kind.label}, {program.engine}) over {source}",
            title_justify="left",
            title_style="bold",
            header_style="dim",
            box=None,
            pad_edge=False,
        )
        table.add_column("return value")
        table.add_column("packets", justify="right")
        table.add_column("share", justify="right")
        for value, count in counts:
            table.add_row(_value(program, value, names[value]), f"{count:,}", f"{count / runs.packets:.1%}")
        self._print(table)
        where = f"{cpus} CPUs" if cpus > 1 else "one CPU"
        if runs.packets:
            line = f"{runs.packets:,} packets on {where}: {_duration(runs.ns_per_packet)} a packet"
            if runs.wall_ns > _MEASURABLE_NS:
                line += f", {_rate(runs.packets / runs.wall_ns * 1e9)} packets a second"
            self._print(line)
        else:
            self._print("the capture holds no packets")
        if written:
            self._print(f"{len(runs.survivors):,} packets written to {written}")

    def fault(self, program: Program, fault: Fault) -> None:
        """A program that the interpreter stopped: what it did, its C line, and the registers at that moment."""
        registers = {f"r{n}": value for n, value in enumerate(fault.registers or ()) if value is not None}
        line = program.spec.line_of(fault.instruction) if fault.instruction is not None else None
        if self._as_json:
            self._object(
                "fault",
                **_about(program),
                problem=fault.problem,
                instruction=fault.instruction,
                text=fault.text,
                source=fault.source,
                address=fault.address,
                region=None if fault.region is None else fault.region.name,
                registers=registers,
            )
            return
        print(f"skep: {fault}", file=sys.stderr)
        if line is not None and line.text:
            print(f"    {line.line} | {line.text.strip()}", file=sys.stderr)
        shown = [f"{name} {value:#x}" for name, value in registers.items()]
        if shown:
            print(f"    registers: {', '.join(shown)}", file=sys.stderr)

    def trace(self, machine: Machine) -> None:
        """What the programs printed with bpf_trace_printk."""
        lines = machine.trace()
        if self._as_json:
            for line in lines:
                self._object("trace", text=line.text, cpu=line.cpu, nanoseconds=line.nanoseconds)
        elif lines:
            self._print("\n[bold]printed by the program[/bold]", markup=True)
            for line in lines:
                self._print(f"CPU {line.cpu}: {line.text}")
        if machine.trace_dropped:
            self.note(f"{machine.trace_dropped:,} printed lines were dropped: the queue holds {len(lines):,}")

    def maps(self, machine: Machine) -> None:
        """Every map that can be shown."""
        for one in map_report.shown_maps(iter(machine.maps.values())):
            if self._as_json:
                print(json.dumps(map_report.as_json(one)))
            else:
                self._print("")
                self._print(map_report.as_table(one))

    def _object(self, kind: str, **fields: object) -> None:
        print(json.dumps({"kind": kind, **fields}))

    def _print(self, what: object, *, markup: bool = False) -> None:
        if self._console is None:
            from rich.console import Console

            # Where output is no terminal nobody wants lines cut to its width.
            width = None if sys.stdout.isatty() else 160
            self._console = Console(width=width, highlight=False, soft_wrap=True)
        self._console.print(what, markup=markup)


def _about(program: Program) -> dict[str, object]:
    return {
        "object": program.spec.file,
        "program": program.name,
        "type": program.kind.label,
        "engine": program.engine,
    }


def _plain_table(title: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    return table


def _value(program: Program, value: int, name: str | None) -> str:
    number = f"{value:#x}" if value >> 16 and value != 0xFFFFFFFF else str(value)
    if value == 0xFFFFFFFF and program.kind.native_size:
        number = "-1"
    return f"{name} ({number})" if name else number


def _duration(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def _rate(rate: float) -> str:
    for unit, size in ((" million", 1e6), (" thousand", 1e3)):
        if rate >= size:
            return f"{rate / size:.3g}{unit}"
    return f"{rate:.3g}"


def hex_dump(data: bytes, limit: int = 256) -> str:
    """Bytes as lines of 16 with their offsets and as text, up to ``limit`` of them."""
    lines = []
    for start in range(0, min(len(data), limit), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:04x}  {row.hex(' '):<47}  {text}")
    if len(data) > limit:
        lines.append(f"… {len(data) - limit} bytes more")
    return "\n".join(lines)
