"""The ``skep`` command: one file a subcommand, imported only when that subcommand runs.

Exit status: 0 done, 1 the answer is no (rejected, differs, a race was found), 2 the request or the input is bad.
A bad input is one line on standard error, never a traceback.
"""

from __future__ import annotations

import importlib
import sys

import click

from skep.errors import SkepError

#: Subcommand to what `skep --help` says of it; the command itself is `command` in the module of that name.
COMMANDS = {
    "run": "Run a program over packets and show return values and maps.",
    "diff": "Compare programs on the interpreter, the JIT and the kernel.",
    "bench": "Time a program on the engines, side by side.",
    "fuzz": "Run random programs through every engine.",
    "verify": "Say whether Linux would accept programs, and why not.",
    "needs": "Say which version of Linux programs need, and for what.",
    "asm": "Assemble BPF text into bytecode.",
    "disasm": "Print a program as assembly, with C lines if asked.",
    "btf": "Print types as C, or cut a kernel's types down to what programs need.",
    "conformance": "Run bpf_conformance test files on an engine.",
    "features": "Show what this machine's kernel supports.",
}


class LazyGroup(click.Group):
    """A group that knows its subcommands by name and loads only the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one subcommand; None for a name that is no command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"skep.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands from the table, so that help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="skep")
def group() -> None:
    """A home for BPF programs that needs neither root nor a kernel."""


def main() -> None:
    """Run the command line; turn every expected failure into one line and the exit status that it means."""
    try:
        status = group(prog_name="skep", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as request:
        click.echo(request.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as refusal:
        hint = f" (see '{refusal.ctx.command_path} --help')" if refusal.ctx else ""
        click.echo(f"skep: {refusal.format_message()}{hint}", err=True)
        sys.exit(2)
    except click.ClickException as refusal:
        click.echo(f"skep: {refusal.format_message()}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("skep: interrupted", err=True)
        sys.exit(130)
    except SkepError as error:
        click.echo(f"skep: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)
