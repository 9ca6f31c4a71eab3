"""``skep-conformance-plugin``: what the bpf_conformance project's own runner calls for each of its tests.

The program comes as hex on standard input, the initial memory as hex in the first argument, r0 goes as hex to
standard output. Source of the convention: the runner of github.com/Alan-Jowett/bpf_conformance and its plugins for
other runtimes. The runner passes all plugin options in one more argument; those that mean something to other
plugins only (``--elf``, ``--cpu_version v4``, ``--debug``) are let pass, ``--jit``, ``--interpret`` and ``--engine
NAME`` choose an engine.
"""

from __future__ import annotations

import sys

from skep.errors import RequestError, SkepError

#: Options that choose an engine by themselves, as the plugins of other runtimes spell them.
_SHORT = {"--jit": "jit", "--interpret": "interpreter", "--interpreter": "interpreter"}


def main() -> None:
    """Run one program and print r0; exit status 1 and one line on standard error where it cannot be run."""
    try:
        print(f"{run(sys.argv[1:], sys.stdin.buffer.read().decode('ascii', 'replace')):x}")
    except SkepError as error:
        print(f"skep-conformance-plugin: {error}", file=sys.stderr)
        sys.exit(1)


def run(arguments: list[str], program: str) -> int:
    """r0 of the program given as hex. Raises SkepError."""
    from skep.engines import engine
    from skep.engines.conformance import parse_hex, run_bytes
    from skep.isa.codec import decode

    has_memory = bool(arguments) and not arguments[0].startswith("-")
    memory = parse_hex(arguments[0], "memory in the first argument") if has_memory else b""
    code = parse_hex(program, "program on standard input")
    if not code:
        raise RequestError("there is no program on standard input; it is read as hex digits, 16 an instruction")
    return run_bytes(decode(code), memory, engine(_engine_name(arguments[has_memory:])))


def _engine_name(arguments: list[str]) -> str:
    words = [word for argument in arguments for word in argument.replace("=", " ").split()]
    name = "interpreter"
    for place, word in enumerate(words):
        if word == "--engine" and place + 1 < len(words):
            name = words[place + 1]
        name = _SHORT.get(word, name)
    return name
