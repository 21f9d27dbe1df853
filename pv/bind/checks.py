"""Which expressions of a function are checks, and which checks can fail at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pv.bind.module import Function, dotted

# Names of calls that check something, wherever they come from.
_PREFIXES = ("assert", "check", "ensure", "expect", "must", "refute", "require", "validate", "verify")
_CALLS = frozenset({"deprecated_call", "fail", "raises", "raises_group", "RaisesGroup", "warns"})
# Comparators of two values; `file.close()` is none.
_COMPARATORS = frozenset({"close", "cosine", "exact", "kl"})
_DEPENDENT = (ast.Name, ast.Attribute, ast.Call, ast.Await, ast.Lambda, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_SAME = (ast.Eq, ast.Is, ast.LtE, ast.GtE)


def checks_in(function: Function) -> Iterator[ast.AST]:
    """Assertions and checking calls in the body, nested functions included."""
    parameters = set(function.parameters()) - {"self", "pv"}
    for node in function.nodes:
        if (
            isinstance(node, ast.Assert)
            or (isinstance(node, ast.Call) and _is_check(node, parameters))
            or (isinstance(node, ast.Raise) and _raises_assertion(node))
        ):
            yield node


def can_fail(check: ast.AST) -> bool:
    """False for an assertion that no run can violate: constants, `x == x`, a tuple with a message."""
    return not (isinstance(check, ast.Assert) and _is_always_true(check.test))


def _is_check(call: ast.Call, parameters: set[str]) -> bool:
    name = dotted(call.func).rpartition(".")[2] or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
    if name == "record":
        return len(call.args) > 2 or any(keyword.arg == "limit" for keyword in call.keywords)
    if name in _COMPARATORS:
        return len(call.args) + len(call.keywords) >= 2
    if name.endswith(("Error", "Exception")):
        return False
    # A fixture that is called is presumed to check.
    is_fixture = isinstance(call.func, ast.Name) and call.func.id in parameters
    return is_fixture or name in _CALLS or name.lstrip("_").lower().startswith(_PREFIXES)


def _raises_assertion(node: ast.Raise) -> bool:
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return raised is not None and dotted(raised) == "AssertionError"


def _is_always_true(test: ast.expr) -> bool:
    if isinstance(test, ast.Tuple):
        return bool(test.elts)
    if isinstance(test, ast.BoolOp):
        quantifier = any if isinstance(test.op, ast.Or) else all
        return quantifier(_is_always_true(value) for value in test.values)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], _SAME):
        left, right = test.left, test.comparators[0]
        has_call = any(isinstance(node, ast.Call) for node in ast.walk(left))
        if not has_call and ast.dump(left) == ast.dump(right):
            return True
    return _is_constant(test) and _value(test)


def _is_constant(node: ast.expr) -> bool:
    """Nothing in it depends on a name, a call or the world."""
    return not any(isinstance(inner, _DEPENDENT) for inner in ast.walk(node))


def _value(node: ast.expr) -> bool:
    """Whether a constant expression is true; arithmetic that could take long counts as true."""
    operators = {type(inner.op) for inner in ast.walk(node) if isinstance(inner, ast.BinOp)}
    if not operators <= {ast.Add, ast.Sub}:
        return True
    expression = ast.fix_missing_locations(ast.Expression(node))
    try:
        return bool(eval(compile(expression, "<constant>", "eval"), {"__builtins__": {}}))  # noqa: S307 - no names in it
    except Exception:
        return False
