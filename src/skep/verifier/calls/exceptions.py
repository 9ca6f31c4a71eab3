"""Exceptions: ``bpf_throw`` ends the program wherever it is, with the stack unwound and nothing given back.

So nothing may be held where a program throws. What it returns is the number thrown, or what the function says that
a tag on the program names (``exception_callback:NAME``). Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.btf.types import Function, Linkage
from skep.verifier.calls.signatures import Takes
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import ANY_NUMBER, Register
from skep.verifier.steps.returns import check_nothing_held, check_result

if TYPE_CHECKING:
    from skep.objects.spec import FunctionSpec
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.calls.signatures import Signature
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer

_TAG: Final = "exception_callback:"


def find_callback(context: Context) -> FunctionSpec | None:
    """The function that exceptions go to; None if no tag on the program names one."""
    spec = context.spec
    main = spec.functions[0].type_id if spec.functions else 0
    if spec.btf is None or not main or not spec.btf.names_with(_TAG):
        return None
    tags = [text for place, text in context.program_types.decl_tags(main) if text.startswith(_TAG)]
    if not tags:
        return None
    if len(tags) > 1:
        raise Rejection("multiple exception callback tags for main subprog")
    name = tags[0].removeprefix(_TAG)
    described = context.program_types.function(name)
    if described is None:
        raise Rejection(f"exception callback '{name}' could not be found in BTF")
    function = described.table.btf[described.id]
    assert isinstance(function, Function)
    if function.linkage is not Linkage.GLOBAL:
        raise Rejection(f"exception callback '{name}' must have global linkage")
    for one in spec.functions:
        if one.type_id == described.id:
            if one.start == 0:
                raise Rejection("invalid exception callback insn_off in func_info: 0")
            return one
    raise Rejection("exception callback type id not found in func_info")


def check_signature(signature: Signature) -> None:
    """Refuse a function that cannot take an exception: it is given one number."""
    if signature.problem:
        raise Rejection(signature.problem)
    if len(signature.parameters) != 1 or signature.parameters[0].takes is not Takes.NUMBER:
        raise Rejection("exception cb only supports single integer argument")


def throw(explorer: Explorer, call: KfuncCall) -> Register:
    """The call of ``bpf_throw``: the path ends here."""
    if not explorer.context.catches:
        # The number thrown is what the program returns.
        check_result(explorer, 1)
    check_nothing_held(explorer, "bpf_throw", thrown=True)
    call.notes["ends"] = True
    return ANY_NUMBER
