"""``skep btf``: print the types of an object or a kernel, and cut a kernel's types down to what programs need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from skep.btf import Btf


@click.group()
def command() -> None:
    """Print the types of an object or a kernel, or keep what programs need of them."""


@command.command()
@click.argument("file", required=False)
@click.option(
    "--type", "names", multiple=True, metavar="NAME", help="Only this type and what it needs; may be repeated."
)
@click.option("--base", metavar="FILE", help="The types of the kernel that FILE, a module's, continues.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a type, by id.")
def dump(file: str | None, names: tuple[str, ...], base: str | None, as_json: bool) -> None:
    """Print types as C that compiles.

    FILE is an object, a kernel (vmlinux), or plain BTF such as /sys/kernel/btf/vmlinux, compressed or not; without
    one, the types are the running kernel's. Of a module's types, its own and what they need are printed.
    """
    from skep.btf.c_dump import dump_c

    btf = _read(file, base)
    wanted = [type_id for name in names for type_id in _find(btf, name, file)]
    if btf.base is not None and not names:
        wanted = list(range(len(btf.base), len(btf)))
    if as_json:
        for type_id in wanted or range(1, len(btf)):
            click.echo(json.dumps(_as_json(btf, type_id)))
        return
    click.echo(dump_c(btf, wanted or None), nl=False)


@command.command(short_help="Keep of a kernel's types what programs need.")
@click.argument("objects", nargs=-1, required=True)
@click.option(
    "--btf",
    "file",
    metavar="FILE",
    help="The kernel's types, in its vmlinux or alone; those of the running kernel unless given.",
)
@click.option("-o", "--output", required=True, help="Where to write the smaller BTF.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of a sentence.")
def minimise(objects: tuple[str, ...], file: str | None, output: str, as_json: bool) -> None:
    """Write the part of a kernel's types that decides the CO-RE relocations of OBJECTS.

    Carry it along to kernels that do not tell their types.
    """
    from skep.btf.minimise import minimise as cut
    from skep.objects import open as open_object

    target = _read(file)
    requests = []
    for name in objects:
        spec = open_object(name)
        if spec.btf is not None:
            asked = [each for program in spec.programs.values() for each in program.core_relocations.values()]
            requests.append((spec.btf, asked))
    small = cut(requests, target)
    data = small.encode()
    _write(output, data)
    facts = {
        "kind": "minimised",
        "file": output,
        "types": len(small) - 1,
        "of_types": len(target) - 1,
        "bytes": len(data),
        "relocations": sum(len(asked) for _, asked in requests),
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo(
            "{file}: {types} of {of_types} types in {bytes} bytes decide {relocations} relocations".format(**facts)
        )


#: Where the running kernel shows the types of its modules, which continue its own.
_OWN_TYPES = "/sys/kernel/btf/"


def _read(file: str | None, base: str | None = None) -> Btf:
    """The types in a file, or of the running kernel."""
    from skep.engines.kernel.system_types import kernel_btf

    if file is None:
        return kernel_btf()
    from skep.objects.fitting import read_types

    if base is not None:
        return read_types(file, read_types(base))
    module = file.startswith(_OWN_TYPES) and file != f"{_OWN_TYPES}vmlinux"
    return read_types(file, kernel_btf() if module else None)


def _find(btf: Btf, name: str, file: str | None) -> tuple[int, ...]:
    from skep.errors import RequestError

    # "struct sock" and "sock" are both how people say it.
    found = btf.find_all(name.removeprefix("struct ").removeprefix("union ").removeprefix("enum ").strip())
    if not found:
        raise RequestError(f"there is no type {name!r}", file=file)
    return found


def _as_json(btf: Btf, type_id: int) -> dict[str, object]:
    from dataclasses import asdict

    type = btf[type_id]
    return {"id": type_id, "kind": type.kind.name.lower(), **asdict(type)}


def _write(output: str, data: bytes) -> None:
    """Write a file whole or not at all."""
    import os
    from pathlib import Path

    from skep.errors import RequestError

    path = Path(output)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RequestError(f"the file cannot be written: {error.strerror}", file=output) from None
