"""The verdict on one program: structure first, then every path of the program and of its global functions."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from skep.errors import UnsupportedError
from skep.objects.fitting import KernelFacts, fit
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec
from skep.verifier.answers.depths import printed_depths
from skep.verifier.answers.log import EVERYTHING, PATH, KernelLog
from skep.verifier.answers.log_frame import before_paths, functions_of, log_of
from skep.verifier.answers.report import KERNEL, NO_TARGET, Report
from skep.verifier.calls.dead_functions import check_dead_functions
from skep.verifier.calls.effects import find_effects
from skep.verifier.calls.exceptions import find_callback
from skep.verifier.calls.global_functions import entry_state, takes_context
from skep.verifier.calls.kfunc_calls import check_functions, parameter_counts
from skep.verifier.calls.signatures import check_early_ends
from skep.verifier.calls.stack_depth import check_stack_depth, has_private_stacks
from skep.verifier.context import Context
from skep.verifier.contexts.attachment import check_attachment
from skep.verifier.contexts.other_programs import OtherProgram, check_type, named_function
from skep.verifier.contexts.program_tables import check_member
from skep.verifier.explaining.investigation import investigate
from skep.verifier.kernel.kernel_types import default_modules, default_types
from skep.verifier.paths.exploration import INSTRUCTION_LIMIT, Explorer
from skep.verifier.paths.flow import Flow
from skep.verifier.paths.observer import Observer
from skep.verifier.paths.stack_liveness import StackLiveness
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.rules import ALL, Rules, rules_of
from skep.verifier.states.held import Reference
from skep.verifier.states.register import Kind, register
from skep.verifier.states.state import LOST, State
from skep.verifier.steps.instructions import prepare
from skep.verifier.structure import Structure


@dataclass(slots=True)
class _Run:
    """What is known once a run has stopped, however it did.

    ``on_path`` holds while paths are followed, ``parted`` once the program has been parted into its functions.
    """

    explorer: Explorer | None = None
    observer: Observer | None = None
    on_path: bool = False
    parted: bool = False
    processed: int = 0
    stack_depth: tuple[int, ...] = ()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """States make no cycles, so that looking for garbage among them, a third of the time, finds none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def verify(
    spec: ProgramSpec,
    *,
    type: ProgramType | None = None,
    kernel: str = KERNEL,
    log_level: int = 0,
    limit: int = INSTRUCTION_LIMIT,
    facts: KernelFacts | None = None,
    target: ProgramSpec | None = None,
) -> Report:
    """Whether Linux ``kernel`` would accept ``spec``, and if not, why.

    The rules are those of 6.18. For an older ``kernel`` the verdict is ``reject`` where the program needs what that
    one does not have; otherwise its rules are those of 6.18 with what is known to differ, and what they accept is
    ``unsupported`` where that one may be stricter all the same. For a newer one it is that of 6.18. RequestError is
    raised for a version that nothing is known of.

    ``type`` stands in where the spec has none. With a ``log_level`` the report has a log as the kernel prints it: 1
    the path that is rejected, 2 all paths, 4 the sums. ``limit`` is how many instructions to follow on all paths
    together; with fewer than Linux follows the verdict may be ``unsupported``. ``facts`` are of the kernel whose
    types count, else the running kernel's do, else those that the package carries; a program with CO-RE relocations
    is fitted to them first. ``target`` is the program that this one replaces a function of (``freplace``), or
    watches one of (``fentry``, ``fexit``); it stands in where the spec has no ``target_program``. Nothing is loaded
    and no rights are needed. A program that depends on what is not checked here gets the verdict ``unsupported``,
    never a wrong ``accept``.
    """
    if target is not None and spec.target_program is None:
        spec = replace(spec, target_program=target)
    if kernel == KERNEL:
        return _report(spec, type, log_level, limit, facts, ALL)
    # Loaded only where it is asked for: tables of what there was when.
    from skep.verifier.answers.older_kernels import judged_for
    from skep.versions import NEWEST, KernelVersion

    version = KernelVersion.parse(kernel)
    report = _report(spec, type, log_level, limit, facts, rules_of(version))
    if version == NEWEST:
        return report
    if version > NEWEST:
        from skep.verifier.answers.newer_kernels import judged_for_newer

        return judged_for_newer(version, spec, report)
    typed = spec if spec.type is not None else replace(spec, type=type)
    return judged_for(version, typed, report, has_types=facts is not None)


def _report(
    spec: ProgramSpec,
    type: ProgramType | None,
    log_level: int,
    limit: int,
    facts: KernelFacts | None,
    rules: Rules,
) -> Report:
    """The verdict by the rules of one kernel."""
    started = time.perf_counter()
    log = KernelLog(spec, log_level) if log_level & (PATH | EVERYTHING) else None
    run = _Run(observer=log)
    refused: Rejection | None = None
    try:
        with _uncollected():
            try:
                _verify(spec, type, limit, run, facts, rules)
            finally:
                if run.explorer is not None:
                    # Else the collector, once it is back, looks through all states that were kept.
                    run.explorer.forget_states()
        report = Report(spec.name, "accept")
    except Rejection as rejection:
        refused = rejection
        instruction = rejection.facts.get("instruction")
        where = instruction if isinstance(instruction, int) else _place(run)
        report = Report(spec.name, "reject", rejection.message, rejection.preceding, where)
    except NotCovered as missing:
        where = missing.instruction if missing.instruction is not None else _place(run)
        report = Report(spec.name, "unsupported", missing.problem, instruction=where)
    except UnsupportedError as missing:
        report = Report(spec.name, "unsupported", missing.problem, instruction=_place(run))
    explorer = run.explorer
    if explorer is not None:
        report = replace(
            report,
            processed=run.processed + explorer.processed,
            total_states=explorer.states.total,
            peak_states=explorer.states.peak,
            most_states=explorer.states.most,
            branch_costs=dict(explorer.branch_costs),
            stack_depth=tuple(explorer.deepest),
            visits=tuple(explorer.visits),
        )
    report = replace(report, program=spec, milliseconds=(time.perf_counter() - started) * 1e3)
    if refused is not None:

        def again(observer: Observer) -> Explorer | None:
            second = _Run(observer=observer)
            with contextlib.suppress(Rejection, UnsupportedError):
                _verify(spec, type, limit, second, facts, rules)
            return second.explorer

        found = investigate(refused, spec, report.instruction, explorer, run.on_path, again)
        report = replace(report, explanation=found)
    if not log_level:
        return report
    written: list[str] = []
    if log is not None:
        if refused is not None:
            log.refused(explorer if run.on_path else None, [*report.details, report.message], refused.facts)
        else:
            log.passed()
        written = log.lines
        if log_level & EVERYTHING and explorer is None and run.parted:
            written = [*functions_of(spec), *written]
        elif log_level & EVERYTHING and explorer is not None:
            written = [*before_paths(spec, explorer.context, explorer.structure, explorer.flow.live), *written]
    elif refused is not None:
        written = [*report.details, report.message]
    depths: Sequence[int] = report.stack_depth
    if explorer is not None and report.accepted:
        depths = printed_depths(explorer)
    elif explorer is None and run.parted:
        depths = [0] * len(functions_of(spec))
    return replace(report, log=log_of(report, log_level, written, depths))


def _place(run: _Run) -> int | None:
    return run.explorer.index if run.explorer is not None and run.on_path else None


def _verify(
    spec: ProgramSpec,
    type: ProgramType | None,
    limit: int,
    run: _Run,
    facts: KernelFacts | None,
    rules: Rules,
    *,
    is_named: bool = False,
) -> None:
    program_type = spec.type if spec.type is not None else type
    if program_type is None:
        raise NotCovered(f"a program of unknown type (section {spec.section})")
    if program_type in (ProgramType.RAW, ProgramType.UNSPEC):
        raise NotCovered(f"programs of type {program_type.label}, which Linux does not have")
    if not spec.instructions:
        raise Rejection("the program is empty")
    if spec.core_relocations or any(map.configuration for map in spec.maps.values()):
        spec = fit(spec, KernelFacts(default_types, default_modules) if facts is None else facts).program
        if facts is None or facts.settings is None:
            spec = _with_unknown_configuration(spec)
    context = Context(spec, program_type, facts, rules)
    context.is_named = is_named
    if spec.target_program is not None:
        check_type(spec, program_type)
        context.attach_to(_other_program(spec, spec.target_program, limit, facts, rules))
    elif program_type is ProgramType.EXT:
        raise NotCovered(NO_TARGET)
    _follow(context, limit, run)


def _other_program(
    spec: ProgramSpec, target: ProgramSpec, limit: int, facts: KernelFacts | None, rules: Rules
) -> OtherProgram:
    """The program that another one names, verified: only what Linux accepts can be replaced or watched."""
    name, type_id = named_function(spec, target)
    run = _Run()
    try:
        _verify(target, None, limit, run, facts, rules, is_named=True)
    except Rejection as refused:
        raise NotCovered(f"program {target.name}, which Linux does not load ({refused.message})") from None
    finally:
        if run.explorer is not None:
            run.explorer.forget_states()
    explorer = run.explorer
    assert explorer is not None
    context = explorer.context
    found = [one for one in explorer.structure.subprograms if one.type_id == type_id]
    if context.spec.functions and context.spec.functions[0].type_id == type_id:
        found = [explorer.structure.subprograms[0]]
    return OtherProgram(context.spec, context.type, context.attach_type, name, type_id, found[0] if found else None)


def _follow(context: Context, limit: int, run: _Run) -> None:
    """Verify a program of which all is known that lies outside it."""
    spec, program_type = context.spec, context.type
    callback = find_callback(context)
    check_functions(context)
    run.parted = True
    structure = Structure(spec)
    if callback is not None:
        structure.by_start[callback.start].is_exception_callback = True
    check_early_ends(context, structure.subprograms)
    context.catches = callback is not None
    context.check_maps()
    flow = Flow(structure, parameter_counts(context))
    find_effects(structure, context)
    check_attachment(context, structure.subprograms[0])
    if program_type is ProgramType.STRUCT_OPS:
        check_member(context, has_tail_call=any(one.has_tail_call for one in structure.subprograms))
    instructs = prepare(structure, context)
    liveness = StackLiveness(structure) if run.observer is None else run.observer.liveness(structure)
    explorer = run.explorer = Explorer(context, structure, flow, instructs, liveness)
    explorer.limit = limit
    explorer.observer = run.observer
    run.on_path = True
    explorer.begin(0)
    main = structure.subprograms[0]
    explorer.run(0, entry_state(explorer, main) if context.replaces else _entered(explorer))
    if context.is_named and not context.replaces:
        main.unreliable = not takes_context(context, main)
    _verify_globals(structure, context, explorer)
    run.on_path = False
    private = context.rules.private_stacks and has_private_stacks(structure, program_type, context.attach_type)
    check_stack_depth(structure, explorer.deepest, private=private, small=context.rules.small_frames)
    check_dead_functions(structure, explorer.visits)


def _with_unknown_configuration(spec: ProgramSpec) -> ProgramSpec:
    """The program where nobody says how the kernel was configured: what it reads of that may be anything."""
    maps = {name: replace(map, contents=None) if map.configuration else map for name, map in spec.maps.items()}
    return replace(spec, maps=MappingProxyType(maps))


def first_state() -> State:
    """The state in which a program is entered: its context in r1."""
    state = State()
    frame = state.frames[0]
    frame.registers[1] = register(Kind.CONTEXT)
    # A number made of the context's address cannot be traced further.
    frame.sources[1] = LOST
    return state


def _entered(explorer: Explorer) -> State:
    """The first state, with the references that a table hands to its programs."""
    state = first_state()
    if explorer.context.type is ProgramType.STRUCT_OPS:
        state.references = tuple(Reference(explorer.new_id(), 0) for _ in explorer.context.hook.handed_over)
    return state


def _verify_globals(structure: Structure, context: Context, explorer: Explorer) -> None:
    """Follow the global functions that were called, each on its own, until no new one is found."""
    done: set[int] = set()
    explorer.called_globals.update(one.index for one in structure.subprograms if one.is_exception_callback)
    while waiting := sorted(explorer.called_globals - done):
        for index in waiting:
            done.add(index)
            function = structure.subprograms[index]
            explorer.begin(index)
            explorer.run(function.start, entry_state(explorer, function))
