"""Locks, lists, timers and kept pointers are found in map values where Linux finds them (``fields.toml``)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import skep
from skep.objects import ProgramType
from skep.verifier.context import Context
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import FieldError, fields_of_structs
from tests.verifier import c_programs
from tests.verifier.programs import kernel_is_there

_WHY_NOT = c_programs.missing() or kernel_is_there()
CASES = tomllib.loads((Path(__file__).parent / "fields.toml").read_text())["case"]

_HEAD = """
#include "objects.h"
struct task_struct { int pid; } __attribute__((preserve_access_index));
struct local { int a; };
struct node { struct bpf_list_node n; int data; struct bpf_list_node n2; };
struct rnode { struct bpf_rb_node n; int data; struct bpf_rb_node n2; };
"""
#: A program that uses the types, so that they are whole in the object.
_TAIL = """
#define USE(type) { struct type *p = bpf_obj_new(struct type); if (p) bpf_obj_drop(p); }
SEC("tc") int anchor(struct task_struct *ctx) { USE(local) USE(node) USE(rnode) return ctx->pid; }
"""


def _found(target: Path) -> dict[str, str]:
    """What is found in the object: in the words of the cases."""
    spec = skep.open(target)
    context = Context(spec.programs["anchor"], ProgramType.SCHED_CLS)
    try:
        fields_of_structs(context.program_types, lambda: context.kernel_types)
    except FieldError as error:
        return {"types": str(error)}
    map = MapFacts(spec.maps["m"], context)
    if not map.has_btf:
        return {"map": "ENOTSUP"}
    joined: list[tuple[str, int, int]] = []
    for field in map.fields.all:
        name = "kptr" if field.is_pointer else field.name
        if joined and joined[-1][0] == name and sum(joined[-1][1:]) == field.offset:
            joined[-1] = (name, joined[-1][1], joined[-1][2] + field.size)
        else:
            joined.append((name, field.offset, field.size))
    return {"fields": ",".join(f"{name}@{offset}+{size}" for name, offset, size in joined)}


@pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["source"].strip()[:70])
def test_fields_are_found(case: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "fields.o"
    c_programs.compile_to(target, _HEAD + case["source"] + _TAIL, "-O2", "v4")
    assert _found(target) == {key: value for key, value in case.items() if key != "source"}
