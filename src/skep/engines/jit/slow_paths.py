"""Functions of the standard library that are never inlined: compiled apart from the programs that call them.

An update of a hash map is a short fast path and a slow path many times its size. The fast path is compiled with every
program, because LLVM makes one piece of both; the slow path stays a call, so it is compiled once, kept on disk beside
the programs, and linked once in a process. Of a slow path the part that is made for one shape of maps is an object of
its own; what serves all shapes is another, which all of them share.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skep.codecache import CodeCache
from skep.engines.jit import native

if TYPE_CHECKING:
    from skep.lang import Function

#: LLVM's pipeline for them.
_LEVEL = 2

_lock = threading.RLock()
#: What is linked in this process, by key; it stays.
_linked: dict[str, SlowPaths] = {}


@dataclass(frozen=True, slots=True)
class SlowPaths:
    """Machine code in memory: the ``addresses`` of its functions by symbol.

    ``key`` is what it is kept under, None if it refers to memory of this process and cannot be kept.
    """

    key: str | None
    addresses: Mapping[str, int]
    code: native.Linked


def is_apart(function: Function[..., Any]) -> bool:
    """Whether ``function`` is compiled apart from what calls it."""
    return function.inline == "never"


def compiled(functions: Iterable[Function[..., Any]], cache: CodeCache | None) -> SlowPaths:
    """The machine code of ``functions``, from this process, from ``cache``, or made now."""
    from skep.lang import HOST, emit

    asked = frozenset(functions)
    shaped = any(function.constants for function in asked)
    emitted = emit(
        sorted(asked, key=lambda function: function.symbol),
        HOST,
        entry_linkage="external",
        apart=lambda one: shaped and one not in asked and is_apart(one) and not one.constants,
    )
    with _lock:
        shared = compiled(emitted.apart, cache) if emitted.apart else None
        needs = [shared.key] if shared is not None else []
        digest = hashlib.blake2b(f"{native.identity()}\n{needs}\n{emitted.text}".encode(), digest_size=20)
        key = f"slow-{digest.hexdigest()}"
        known = _linked.get(key)
        if known is not None:
            return known
        names = tuple(sorted(emitted.symbols.values()))
        found = cache.get(key) if cache is not None else None
        objects = found[_head(found)[1] :] if found is not None else native.machine_code(emitted.text, _LEVEL)
        variables = {symbol: variable.address for symbol, variable in emitted.variables.items()}
        portable = not variables and None not in needs
        if cache is not None and found is None and portable:
            head = json.dumps([names, needs]).encode()
            cache.put(key, len(head).to_bytes(4, "little") + head + objects)
        imports = {**variables, **(shared.addresses if shared is not None else {})}
        code = native.Linked(objects, names, imports)
        made = _linked[key] = SlowPaths(key if portable else None, code.addresses, code)
        return made


def kept(key: str, cache: CodeCache) -> SlowPaths | None:
    """What is kept under ``key``, linked with all that it needs; None if any of that is gone."""
    with _lock:
        known = _linked.get(key)
        if known is not None:
            return known
        found = cache.get(key)
        if found is None:
            return None
        (names, needs), start = _head(found)
        imports: dict[str, int] = {}
        for one in needs:
            needed = kept(one, cache)
            if needed is None:
                return None
            imports.update(needed.addresses)
        code = native.Linked(found[start:], tuple(names), imports)
        made = _linked[key] = SlowPaths(key, code.addresses, code)
        return made


def _head(entry: bytes) -> tuple[tuple[list[str], list[str]], int]:
    """Names and needs of an entry, and where its object starts."""
    end = 4 + int.from_bytes(entry[:4], "little")
    names, needs = json.loads(entry[4:end])
    return (names, needs), end
