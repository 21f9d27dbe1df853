"""Python text that nobody has read: what it defines, without running it."""

from __future__ import annotations

import ast
import warnings


def functions(source: str) -> dict[str, ast.FunctionDef]:
    """Functions at the top level by name, the last of each.

    Raises:
        SyntaxError: it does not compile, for whatever reason; `msg` says which.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in strings, which are not ours
            compile(source, "source", "exec", dont_inherit=True)
            body = ast.parse(source).body
    except (ValueError, RecursionError, MemoryError) as err:
        raise SyntaxError(str(err) or type(err).__name__) from err
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
