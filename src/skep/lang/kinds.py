"""The kinds of expression that the language has, by node of the syntax tree."""

from __future__ import annotations

import ast

from skep.lang import calls, operators, places
from skep.lang.expressions import Expressions, Kinds

KINDS: Kinds = {
    ast.Name: Expressions.name,
    ast.Constant: Expressions.constant,
    ast.Attribute: places.attribute,
    ast.Subscript: places.subscript,
    ast.BinOp: operators.binary,
    ast.UnaryOp: operators.unary,
    ast.Compare: operators.compare,
    ast.BoolOp: operators.boolean,
    ast.IfExp: operators.choice,
    ast.NamedExpr: operators.assignment,
    ast.Call: calls.call,
}
