"""The inside of a box: one process that runs one job under limits, and talks in lines of JSON.

argv[1]: `engine.evaluate.box.Setup` as JSON. stdin and stdout carry the lines; what the job prints goes to stderr.

    box       {"ready": true}, or {"refused": reason} and the end
    job       {"role": "answer", "source": ..., "name": ...}      call a function of the source when asked
              {"role": "test", "source": ..., "name": ..., "test": ...}     run the test, ask for calls and comparisons
              {"role": "count"}                                   how many processes this box allows

An answer replies to {"call": [arguments, keywords], "nonce": n} with n and {"value": ...} or {"raised": [type, text]}.
A test says {"call": ...} and {"compare": [a, b]}, is told {"value": ...} or {"raised": ...}, and ends with
{"passed": true} or {"failed": reason}; each of its lines carries the nonce of its job.

Started as `python -I -S`; standard library only.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

from engine.evaluate import namespaces, values

Job = dict[str, Any]


def main() -> None:
    setup: Job = json.loads(sys.argv[1])
    sys.path[:] = [path for path in sys.path if path != setup["package_root"]]
    receive, send = _lines()
    try:
        namespaces.die_with_parent()
        if setup["isolated"]:
            namespaces.enter()
            _continue_in_child()
            namespaces.die_with_parent()
            namespaces.change_root(setup["visible"], setup["hidden"])
            _continue_in_child()
            namespaces.give_up_privileges()
        _limit(setup["limits"])
    except (OSError, ValueError, AttributeError) as err:
        send({"refused": str(err)})
        sys.exit(1)
    send({"ready": True})
    job = receive()
    {"answer": answer, "test": test, "count": count}[job["role"]](job, receive, send)


def _continue_in_child() -> None:
    """Fork; the parent waits for the child, and ends as it does."""
    child = os.fork()
    if not child:
        return
    status = 0
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _lines() -> tuple[Callable[[], Job], Callable[[Job], None]]:
    """Take stdin and stdout away from the job; from here on they are /dev/null and stderr."""
    source: BinaryIO = os.fdopen(os.dup(0), "rb")
    sink = os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)

    def receive() -> Job:
        line = source.readline()
        if not line:
            os._exit(0)
        message: Job = json.loads(line)
        return message

    def send(message: Job) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(sink, data) :]

    return receive, send


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def answer(job: Job, receive: Callable[[], Job], send: Callable[[Job], None]) -> None:
    """Run the source, then call its function for as long as someone asks."""
    problem: BaseException | None = None
    space: dict[str, Any] = {"__name__": "completion"}
    try:
        exec(compile(job["source"], "completion", "exec"), space)  # noqa: S102 - what boxes are for
    except BaseException as err:
        problem = err
    while True:
        asked = receive()
        try:
            if problem is not None:
                raise problem
            arguments, keywords = (values.decode(part) for part in asked["call"])
            reply = {"value": values.encode(space[job["name"]](*arguments, **keywords))}
        except BaseException as err:
            reply = {"raised": [type(err).__name__, str(err)[:300]]}
        send({"nonce": asked["nonce"], **reply})


def test(job: Job, receive: Callable[[], Job], send: Callable[[Job], None]) -> NoReturn:
    """Run `check` of the test; the function it is given asks outside."""
    nonce = job["nonce"]

    def ask(message: Job) -> Any:
        send({"nonce": nonce, **message})
        reply = receive()
        if "raised" in reply:
            name, text = reply["raised"]
            kind = getattr(builtins, name, None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            raise kind(text) if known and kind is not None else RuntimeError(f"{name}: {text}")
        return values.decode(reply["value"])

    def candidate(*arguments: object, **keywords: object) -> Any:
        return ask({"call": [values.encode(list(arguments)), values.encode(keywords)]})

    def compare(one: object, other: object) -> bool:
        return bool(ask({"compare": [values.encode(one), values.encode(other)]}))

    space: dict[str, Any] = {"__name__": "test", _COMPARE: compare}
    try:
        exec(compile(job["source"], "problem", "exec"), space)  # noqa: S102 - it is in the file
        exec(compile(strict(job["test"]), "test", "exec"), space)  # noqa: S102
        space["check"](candidate)
    except BaseException as err:
        send({"nonce": nonce, "failed": f"{type(err).__name__}: {str(err)[:300]}".removesuffix(": ")})
    else:
        send({"nonce": nonce, "passed": True})
    os._exit(0)


_COMPARE = "__compare__"


def strict(source: str) -> ast.Module:
    """The test, with every == and != of something that calls the candidate turned into a call of `__compare__`."""
    tree = ast.parse(source)
    names = {
        node.args.args[0].arg
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "check" and node.args.args
    }
    _Strict(names).visit(tree)
    return ast.fix_missing_locations(tree)


class _Strict(ast.NodeTransformer):
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            return node
        if not any(isinstance(part, ast.Name) and part.id in self._names for part in ast.walk(node)):
            return node
        arguments = [node.left, node.comparators[0]]
        call = ast.Call(ast.Name(_COMPARE, ast.Load()), arguments, [])
        return call if isinstance(node.ops[0], ast.Eq) else ast.UnaryOp(ast.Not(), call)


def count(_job: Job, receive: Callable[[], Job], send: Callable[[Job], None]) -> NoReturn:
    """Start processes until the limit, and keep them; twice the limit is enough to know that there is none."""
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    started = 1
    try:
        while started < 2 * limit:
            if not os.fork():
                time.sleep(60)
                os._exit(0)
            started += 1
    except OSError:
        pass
    send({"processes": started})
    receive()
    os._exit(0)


if __name__ == "__main__":
    main()
