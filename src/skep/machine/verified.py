"""What the JIT may run: programs that the verifier accepts. Each is verified once and remembered by its content.

Only acceptance is kept, beside the machine code, under a digest of all that the verdict depends on: the program with
its maps and types, the verifier's own sources, the kernel whose types are used. A hit costs as much as reading a file
and imports no verifier.
"""

from __future__ import annotations

import hashlib
import os

from skep import codecache
from skep.btf import Btf
from skep.errors import VerdictError
from skep.isa import encode
from skep.objects import MapSpec, ProgramSpec, ProgramType
from skep.objects.fitting import KernelFacts

_ACCEPTED = b"accepted"


def require(spec: ProgramSpec, facts: KernelFacts | None) -> None:
    """Raise VerdictError, with the reason in a sentence, unless ``spec`` is known to be safe.

    Programs of type ``raw`` are none of the kernel's, and no verdict is asked for. ``facts`` are of the kernel whose
    types count, None for the running one.
    """
    if spec.type is ProgramType.RAW:
        return
    cache = codecache.default() if facts is None else None
    key = _key(spec) if cache is not None else ""
    if cache is not None and cache.get(key) == _ACCEPTED:
        return
    _verify(spec, facts)
    if cache is not None:
        cache.put(key, _ACCEPTED)


def _verify(spec: ProgramSpec, facts: KernelFacts | None) -> None:
    from skep.verifier import verify

    report = verify(spec, facts=facts)
    if report.accepted:
        return
    target = f"{spec.file}:{spec.name}" if spec.file is not None else spec.name
    line = report.source
    source = None if line is None else f"{line.file}:{line.line}"
    if report.verdict == "unsupported":
        problem = (
            f"program {spec.name!r} cannot be verified: it depends on {report.message}, which is not checked here "
            f"yet. The JIT runs only what is known to be safe: run it on the interpreter, which checks every step, "
            f"or trust it with --no-verify (verify=False)"
        )
    else:
        meaning = f" ({report.explanation.problem.rstrip('.')})" if report.explanation is not None else ""
        problem = (
            f"program {spec.name!r} is rejected: {report.message}{meaning}; `skep verify {target}` says why and what "
            f"to do. The interpreter runs it all the same, and the JIT if it is trusted with --no-verify "
            f"(verify=False)"
        )
    raise VerdictError(
        problem,
        verdict=report.verdict,
        message=report.message,
        file=spec.file,
        section=spec.section or None,
        instruction=report.instruction,
        source=source,
    )


def _key(spec: ProgramSpec) -> str:
    digest = hashlib.blake2b(b"verdict\0", digest_size=20)
    digest.update(repr((codecache.state_of_sources(), os.uname().release, os.cpu_count())).encode())
    digest.update(encode(spec.instructions))
    digest.update(
        repr(
            (
                spec.type,
                spec.attach_type,
                spec.attach_target,
                spec.sleepable,
                spec.flags,
                spec.functions,
                sorted(spec.references.items()),
                spec.license,
                spec.byte_order,
            )
        ).encode()
    )
    types: list[Btf] = [] if spec.btf is None else [spec.btf]
    for _, definition in sorted(spec.maps.items()):
        one: MapSpec | None = definition
        while one is not None:
            digest.update(repr(one).encode())
            if one.btf is not None and all(one.btf is not known for known in types):
                types.append(one.btf)
            one = one.inner
    for known in types:
        digest.update(known.encode())
    return digest.hexdigest()
