"""Statements: control flow, variables, and the check that a variable has a value wherever it is read.

A variable that is assigned in one place of the text is a value and needs no memory; one that is assigned in several
is a local slot, which LLVM turns back into values. What a constant condition excludes is neither checked nor emitted.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from skep.errors import LanguageError
from skep.lang import memory, operators, places
from skep.lang.expressions import Expressions
from skep.lang.kinds import KINDS
from skep.lang.scope import Local, Scope, is_scalar
from skep.lang.types import I64, U64, VOID, IntType, Type
from skep.lang.values import Place, Value, constant

_REFUSED: Mapping[type[ast.AST], str] = {
    ast.FunctionDef: "a function inside a function cannot be compiled: write it in the module",
    ast.AsyncFunctionDef: "there is no async",
    ast.ClassDef: "a class inside a function cannot be compiled: write a @struct in the module",
    ast.With: "there is no with: call what begins and what ends by name",
    ast.Try: "there are no exceptions: return an error number",
    ast.Raise: "there are no exceptions: return an error number",
    ast.Import: "imports stand at the top of the module",
    ast.ImportFrom: "imports stand at the top of the module",
    ast.Global: "module state is a variable(...): its name is a pointer to it",
    ast.Nonlocal: "module state is a variable(...): its name is a pointer to it",
    ast.Delete: "nothing can be deleted",
    ast.Match: "there is no match: write if and elif",
}


class _Loop:
    __slots__ = ("breaks", "end", "next")

    def __init__(self, end: str, next_label: str) -> None:
        self.end = end
        self.next = next_label
        self.breaks: list[set[str]] = []


class Statements:
    """Compiles the statements of one function."""

    __slots__ = ("builder", "expressions", "loops", "result", "scope", "stores")

    def __init__(self, scope: Scope, result: Type, body: list[ast.stmt]) -> None:
        self.scope = scope
        self.builder = scope.builder
        self.expressions = Expressions(scope, KINDS)
        self.result = result
        self.loops: list[_Loop] = []
        self.stores = Counter(_stored_names(body))

    def error(self, node: ast.AST, problem: str) -> LanguageError:
        """An error that points at ``node``."""
        return self.scope.source.error(node, problem)

    def parameter(self, name: str, value: Value) -> None:
        """Give the parameter ``name`` its value."""
        local = self.scope.locals[name] = Local()
        local.type = value.type
        self.stores[name] += 1
        if self.stores[name] > 1 and value.type is not None:
            slot = Place(value.type, self.builder.allocate(value.type), value.type.align)
            self.builder.store(slot, value.text)
            local.meaning = slot
        else:
            local.meaning = value
        assert self.scope.assigned is not None
        self.scope.assigned.add(name)

    def body(self, statements: list[ast.stmt]) -> None:
        """Compile statements up to the first that control does not pass."""
        for statement in statements:
            if self.scope.assigned is None:
                return
            method = _STATEMENTS.get(type(statement))
            if method is None:
                word = type(statement).__name__
                raise self.error(statement, _REFUSED.get(type(statement), f"{word} is outside the language"))
            method(self, statement)

    # Assignment

    def _assign(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.Assign)
        if len(node.targets) != 1:
            raise self.error(node, "one assignment a line")
        target = node.targets[0]
        if isinstance(target, ast.Tuple):
            self._assign_parts(node, target)
        elif isinstance(target, ast.Name):
            self._assign_name(target, node.value, None)
        else:
            self._assign_place(target, node.value)

    def _assign_parts(self, node: ast.Assign, target: ast.Tuple) -> None:
        if not isinstance(node.value, ast.Tuple) or len(node.value.elts) != len(target.elts):
            raise self.error(node, "as many values as names: a, b = b, a")
        # All values exist before the first is stored, as in Python.
        kinds = [self._known_type(one) for one in target.elts]
        values = [self.expressions.value(one, kind) for one, kind in zip(node.value.elts, kinds, strict=True)]
        for one, source, value in zip(target.elts, node.value.elts, values, strict=True):
            if isinstance(one, ast.Name):
                self._bind(one, source, value, None)
            else:
                self._store(one, source, places.place(self.expressions, one), value)

    def _known_type(self, target: ast.expr) -> Type | None:
        if isinstance(target, ast.Name):
            local = self.scope.locals.get(target.id)
            return local.type if local is not None and local.type is not None and is_scalar(local.type) else None
        kind = self._type_of_place(target)
        return kind if is_scalar(kind) else None

    def _type_of_place(self, target: ast.expr) -> Type:
        # The target is evaluated after the value, as in Python, but the value needs its type: evaluate it twice.
        builder = self.builder
        lines, allocations, block = len(builder.lines), len(builder.allocations), builder.block
        kind = places.place(self.expressions, target).type
        del builder.lines[lines:], builder.allocations[allocations:]
        builder.block = block
        return kind

    def _assign_name(self, target: ast.Name, value: ast.expr, declared: Type | None) -> None:
        local = self.scope.locals.get(target.id)
        expected = declared or (local.type if local is not None else None)
        found = self.expressions.result(value, expected)
        if isinstance(found, Place) and not is_scalar(found.type):
            if not isinstance(value, ast.Call):
                raise self.error(
                    value, f"a {found.type} is not copied into a name: take address_of(...) or copy into a local one"
                )
            if self.stores[target.id] != 1 or declared is not None:
                raise self.error(target, f"{target.id} names memory: assign it once, without a type")
            self._define(target.id, found.type, found)
            return
        scalar = self.expressions.scalar(value, found, expected)
        if scalar.type is None and self.stores[target.id] == 1:
            # A name for a literal: it takes a width where it is used, as the literal would.
            self._define(target.id, None, scalar)
        else:
            self._bind(target, value, scalar, declared)

    def _bind(self, target: ast.Name, source: ast.expr, value: Value, declared: Type | None) -> None:
        name = target.id
        local = self.scope.locals.get(name)
        kind = declared or (local.type if local is not None else None) or value.type
        if kind is None:
            raise self.error(source, f"the width of {value.text} is not known here: write {name}: u64 = {value.text}")
        if local is not None and local.type is not None and local.type is not kind:
            raise self.error(target, f"{name} is a {local.type} and stays one")
        value = self.expressions.adapt(source, value, kind)
        if value.type is not kind:
            raise self.error(source, f"{name} is a {kind}, not a {value.type}: convert the value")
        if not is_scalar(kind):
            raise self.error(target, f"{name} names memory: assign its parts")
        if self.stores[name] == 1:
            self._define(name, kind, value)
            return
        if local is None or local.meaning is None:
            slot = Place(kind, self.builder.allocate(kind), kind.align)
            self._define(name, kind, slot)
        self.builder.store(self._slot(name), value.text)
        assert self.scope.assigned is not None
        self.scope.assigned.add(name)

    def _slot(self, name: str) -> Place:
        meaning = self.scope.locals[name].meaning
        assert isinstance(meaning, Place)
        return meaning

    def _define(self, name: str, kind: Type | None, meaning: Value | Place) -> None:
        local = self.scope.locals.setdefault(name, Local())
        local.type = kind
        local.meaning = meaning
        assert self.scope.assigned is not None
        self.scope.assigned.add(name)

    def _assign_place(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Attribute | ast.Subscript):
            raise self.error(target, "this cannot be assigned to")
        kind = self._type_of_place(target)
        if is_scalar(kind):
            found = self.expressions.value(value, kind)
            self._store(target, value, places.place(self.expressions, target), found)
            return
        source = self.expressions.result(value)
        if not isinstance(source, Place) or source.type is not kind:
            raise self.error(value, f"a {kind} is needed here")
        place = places.place(self.expressions, target)
        size = constant(U64, kind.size)
        align = min(place.align, source.align)
        memory.copy(self.builder, self.scope.target, place.pointer, source.pointer, size, align)

    def _store(self, target: ast.expr, source: ast.expr, place: Place, value: Value) -> None:
        value = self.expressions.adapt(source, value, place.type)
        if value.type is not place.type:
            hint = f": write {place.type}(...)" if isinstance(place.type, IntType) else ""
            raise self.error(source, f"a {place.type} is needed here, not a {value.type}{hint}")
        self.expressions.refuse_narrow(target, place.type)
        self.builder.store(place, value.text)

    def _annotated(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.AnnAssign)
        if not isinstance(node.target, ast.Name):
            raise self.error(node.target, "only a name can be given a type")
        kind = self.expressions.type_argument(node.annotation)
        if not is_scalar(kind):
            raise self.error(node.annotation, f"make a local {kind} by calling it")
        name = node.target.id
        local = self.scope.locals.setdefault(name, Local())
        if local.type is not None and local.type is not kind:
            raise self.error(node.target, f"{name} is a {local.type} and stays one")
        local.type = kind
        if node.value is not None:
            self._assign_name(node.target, node.value, kind)

    def _augmented(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.AugAssign)
        expressions = self.expressions
        if isinstance(node.target, ast.Name):
            read = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            old = expressions.value(read)
            right = expressions.value(node.value)
            self._bind(node.target, node.value, self._operate(node, read, old, right), None)
            return
        place = places.place(expressions, node.target)
        if not is_scalar(place.type):
            raise self.error(node.target, f"a {place.type} cannot be calculated with")
        old = self.builder.load(place)
        right = expressions.value(node.value)
        self._store(node.target, node.value, place, self._operate(node, node.target, old, right))

    def _operate(self, node: ast.AugAssign, target: ast.expr, old: Value, right: Value) -> Value:
        return operators.operate(self.expressions, node, node.op, target, old, node.value, right)

    # Control flow

    def _if(self, node: ast.stmt) -> None:
        # A chain of elif is one statement in another in the tree; it is walked here without recursion.
        end: str | None = None
        states: list[set[str]] = []
        body = [node]
        while len(body) == 1 and isinstance(body[0], ast.If):
            choice = body[0]
            found = self.expressions.condition(choice.test)
            if found.constant is not None:
                body = choice.body if found.constant else choice.orelse
                if found.constant:
                    break
                continue
            end = end or self.builder.label()
            yes, no = self.builder.label(), self.builder.label()
            self.builder.branch(found.text, yes, no)
            before = self._copy()
            self.builder.start(yes)
            self.body(choice.body)
            if self.scope.assigned is not None:
                states.append(self.scope.assigned)
                self.builder.jump(end)
            self.scope.assigned = before
            self.builder.start(no)
            body = choice.orelse
        self.body(body)
        if end is None:
            return
        if self.scope.assigned is not None:
            states.append(self.scope.assigned)
            self.builder.jump(end)
        self._merge(end, states)

    def _copy(self) -> set[str]:
        assert self.scope.assigned is not None
        return set(self.scope.assigned)

    def _merge(self, label: str, states: list[set[str]]) -> None:
        if states:
            self.builder.start(label)
            self.scope.assigned = set.intersection(*states)
        else:
            self.scope.assigned = None

    def _while(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.While)
        if node.orelse:
            raise self.error(node.orelse[0], "a loop has no else")
        builder = self.builder
        head, body, end = builder.label(), builder.label(), builder.label()
        builder.jump(head)
        builder.start(head)
        found = self.expressions.condition(node.test)
        leaves = []
        if found.constant is None:
            builder.branch(found.text, body, end)
            leaves.append(self._copy())
        elif found.constant:
            builder.jump(body)
        else:
            builder.jump(end)
            builder.start(end)
            return
        builder.start(body)
        loop = _Loop(end, head)
        self.loops.append(loop)
        self.body(node.body)
        self.loops.pop()
        if self.scope.assigned is not None:
            builder.jump(head)
        self._merge(end, leaves + loop.breaks)

    def _for(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.For)
        if node.orelse:
            raise self.error(node.orelse[0], "a loop has no else")
        if not isinstance(node.target, ast.Name):
            raise self.error(node.target, "a loop counts in one name")
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self.error(call, "a loop counts: write for i in range(n)")
        kind, start, stop, step = self._range(call, node.target.id)
        empty = start.constant is not None and stop.constant is not None and not range(
            start.constant, stop.constant, step
        )  # fmt: skip
        if empty:
            return
        self._count(node, node.target, kind, start, stop, step)

    def _range(self, call: ast.Call, name: str) -> tuple[IntType, Value, Value, int]:
        if not 1 <= len(call.args) <= 3 or call.keywords:
            raise self.error(call, "range takes one to three integers")
        step = self.expressions.known(call.args[2], "the step of a range") if len(call.args) == 3 else 1
        if step == 0:
            raise self.error(call.args[2], "a step of 0 goes nowhere")
        nodes = call.args[:2]
        bounds = [self.expressions.value(one) for one in nodes]
        known = [one.type for one in bounds if one.type is not None]
        local = self.scope.locals.get(name)
        if not known and local is not None and local.type is not None:
            known = [local.type]
        below_zero = step < 0 or any((one.constant or 0) < 0 for one in bounds)
        kind = known[0] if known else I64 if below_zero else U64
        if not isinstance(kind, IntType):
            raise self.error(nodes[0], f"a range counts integers, not a {kind}")
        for one, bound in zip(nodes, bounds, strict=True):
            if bound.type is not None and bound.type is not kind:
                raise self.error(one, f"the bounds are a {kind} and a {bound.type}: convert one of them")
        values = [self.expressions.adapt(one, bound, kind) for one, bound in zip(nodes, bounds, strict=True)]
        if abs(step) > kind.maximum:
            raise self.error(call.args[2], f"the step does not fit a {kind}")
        start = values[0] if len(values) == 2 else constant(kind, 0)
        return kind, start, values[-1], step

    def _count(self, node: ast.For, target: ast.Name, kind: IntType, start: Value, stop: Value, step: int) -> None:
        builder = self.builder
        head, body, latch, end = builder.label(), builder.label(), builder.label(), builder.label()
        onwards = latch if abs(step) == 1 else builder.label()
        counter, following = builder.name(), builder.name()
        sign = "s" if kind.signed else "u"
        before = builder.block
        builder.jump(head)
        builder.start(head)
        builder.lines.append(
            f"  {counter} = phi {kind.llvm} [ {start.text}, %{before} ], [ {following}, %{onwards} ]"
        )
        word = "lt" if step > 0 else "gt"
        inside = builder.assign(f"icmp {sign}{word} {kind.llvm} {counter}, {stop.text}")
        builder.branch(inside, body, end)
        leaves = [self._copy()]
        builder.start(body)
        self._bind(target, target, Value(kind, counter), None)
        loop = _Loop(end, latch)
        self.loops.append(loop)
        self.body(node.body)
        self.loops.pop()
        if self.scope.assigned is not None:
            builder.jump(latch)
        builder.start(latch)
        if abs(step) != 1:
            # The next value may lie beyond the type's range: leave before it is computed.
            low, high = (counter, stop.text) if step > 0 else (stop.text, counter)
            left = builder.assign(f"sub {kind.llvm} {high}, {low}")
            done = builder.assign(f"icmp ule {kind.llvm} {left}, {abs(step)}")
            builder.branch(done, end, onwards)
            builder.start(onwards)
        flag = "nsw" if kind.signed else "nuw"
        operation = (
            f"add {flag} {kind.llvm} {counter}, {step}"
            if step > 0 or kind.signed
            else (f"sub nuw {kind.llvm} {counter}, {-step}")
        )
        builder.line(f"{following} = {operation}")
        builder.jump(head)
        self._merge(end, leaves + loop.breaks)

    def _break(self, node: ast.stmt) -> None:
        self.loops[-1].breaks.append(self._copy())
        self.builder.jump(self.loops[-1].end)
        self.scope.assigned = None

    def _continue(self, node: ast.stmt) -> None:
        self.builder.jump(self.loops[-1].next)
        self.scope.assigned = None

    def _return(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.Return)
        if self.result is VOID:
            if node.value is not None:
                raise self.error(node.value, "the function returns None: write return alone")
            self.builder.line("ret void")
        else:
            if node.value is None:
                raise self.error(node, f"the function returns a {self.result}")
            value = self.expressions.value_of_type(node.value, self.result, "the result")
            self.builder.line(f"ret {self.result.llvm} {value.text}")
        self.scope.assigned = None

    def _expression(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.Expr)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return
        if not isinstance(node.value, ast.Call):
            # What is outside the language says so itself; the rest is pointless.
            self.expressions.result(node.value)
            raise self.error(node, "this does nothing: assign the value or drop the line")
        self.expressions.result(node.value)

    def _assert(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.Assert)
        found = self.expressions.condition(node.test)
        self.builder.line(f"call void @llvm.assume(i1 {found.text})")

    def _pass(self, node: ast.stmt) -> None:
        pass


def _stored_names(body: list[ast.stmt]) -> Iterator[str]:
    """The names that the text assigns, each as often as it does."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                for part in target.elts if isinstance(target, ast.Tuple) else (target,):
                    if isinstance(part, ast.Name):
                        yield part.id
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For):
            only_declares = isinstance(statement, ast.AnnAssign) and statement.value is None
            if isinstance(statement.target, ast.Name) and not only_declares:
                yield statement.target.id
                if isinstance(statement, ast.AugAssign):
                    # It reads what another place wrote, so it is never the only one.
                    yield statement.target.id
        if isinstance(statement, ast.If | ast.For | ast.While):
            yield from _stored_names(statement.body)
            yield from _stored_names(statement.orelse)


_STATEMENTS: Mapping[type[ast.stmt], Callable[[Statements, ast.stmt], None]] = {
    ast.Assign: Statements._assign,
    ast.AnnAssign: Statements._annotated,
    ast.AugAssign: Statements._augmented,
    ast.If: Statements._if,
    ast.While: Statements._while,
    ast.For: Statements._for,
    ast.Break: Statements._break,
    ast.Continue: Statements._continue,
    ast.Return: Statements._return,
    ast.Expr: Statements._expression,
    ast.Assert: Statements._assert,
    ast.Pass: Statements._pass,
}
