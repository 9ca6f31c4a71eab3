"""Map functions are valid code for every 64-bit architecture, and an array lookup is one for BPF itself."""

from __future__ import annotations

import pytest

from skep.lang import emit
from skep.lang.target import TARGETS
from skep.maps.functions import delete_function, lookup_function, update_function
from skep.objects.kinds import MapType

from .support import spec


@pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.HASH, MapType.PERCPU_HASH])
@pytest.mark.parametrize("arch", [arch for arch, row in TARGETS.items() if not row.is_bpf and row.pointer_bits == 64])
def test_every_architecture(arch: str, kind: MapType) -> None:
    from llvmlite import binding

    map = spec(kind, 4, 8, 100)
    functions = [lookup_function(map), update_function(map, arch), delete_function(map)]
    binding.parse_assembly(emit(functions, TARGETS[arch]).text).verify()


def test_an_array_lookup_as_bpf_instructions() -> None:
    from skep.lang import compile_bpf

    code = compile_bpf(lookup_function(spec(MapType.ARRAY, 4, 8, 100)))
    assert len(code.instructions) <= 10
