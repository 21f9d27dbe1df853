"""Renders one chat template in a process of its own; started by `engine.chat`, imports nothing of the engine.

A template is code from the model file. It runs here under limits of processor time, memory, nesting and output, without
the right to open a file, in Jinja's immutable sandbox set up the way Hugging Face transformers sets it up (trim_blocks,
lstrip_blocks, the loopcontrols extension, a `generation` block, tojson, raise_exception, strftime_now).

stdin: one JSON object
    paths            folders to import jinja2 and markupsafe from
    cpu_s, memory_bytes, source_bytes, depth, nodes, output_bytes        the limits
    source           the template
    now              what strftime_now reads, ISO 8601
    variables        names and values the template sees
stdout: one JSON object with either `text` or `refused`, a one-line reason.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import datetime
from typing import Any


class RefusedError(Exception):
    """A limit is exceeded; the message says which."""


def limit(cpu_s: int, memory_bytes: int) -> None:
    """Cap this process; the kernel ends it when the processor time is used up."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def forbid_opening() -> None:
    """From here on no file, socket or pipe can be opened; the open ones stay."""
    # Jinja and the codecs import these when first used, which they no longer could.
    import pprint  # noqa: F401
    import textwrap  # noqa: F401

    import jinja2.debug  # noqa: F401

    b"x".decode("unicode-escape")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def environment(now: datetime) -> Any:
    """The sandbox: what transformers offers, less what is random or only useful to fill memory."""
    from jinja2 import TemplateError
    from jinja2 import nodes as jinja_nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what the assistant says, for training; here it renders as its body."""

        tags = {"generation"}  # noqa: RUF012 - the name and type are Jinja's

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja_nodes.Scope(body, lineno=line)

    class Sandbox(ImmutableSandboxedEnvironment):
        def unsafe_undefined(self, obj: object, attribute: str) -> Any:
            """Refuse at once; Jinja would render a forbidden attribute as empty text if nothing more is done to it."""
            raise SecurityError(f"access to attribute {attribute!r} of {type(obj).__name__!r} object is unsafe")

    def raise_exception(message: object) -> None:
        raise TemplateError(str(message))

    def to_json(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    sandbox = Sandbox(  # plain text is made, not HTML: nothing is escaped
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=[Generation, loopcontrols]
    )
    for name in ("lipsum", "cycler", "joiner"):
        del sandbox.globals[name]
    del sandbox.filters["random"]
    sandbox.filters["tojson"] = to_json
    sandbox.globals["raise_exception"] = raise_exception
    sandbox.globals["strftime_now"] = now.strftime
    return sandbox


def check_tree(tree: Any, depth: int, nodes: int) -> None:
    """Refuse a syntax tree that is too deep or too large; no recursion."""
    count = 0
    level = [tree]
    for _ in range(depth):
        count += len(level)
        if count > nodes:
            raise RefusedError(f"more than {nodes} syntax nodes")
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise RefusedError(f"syntax nested more than {depth} deep")


def render(job: dict[str, Any]) -> str:
    """The text of one template.

    Raises:
        RefusedError: over a limit. Jinja's own errors, MemoryError and RecursionError pass through.
    """
    source: str = job["source"]
    if (size := len(source.encode("utf-8", "replace"))) > job["source_bytes"]:
        raise RefusedError(f"source is {size} bytes, at most {job['source_bytes']} are allowed")
    sandbox = environment(datetime.fromisoformat(job["now"]))
    forbid_opening()
    check_tree(sandbox.parse(source), job["depth"], job["nodes"])
    pieces: list[str] = []
    room: int = job["output_bytes"]
    for piece in sandbox.from_string(source).generate(**job["variables"]):
        pieces.append(piece)
        room -= len(piece.encode("utf-8", "surrogatepass"))
        if room < 0:
            raise RefusedError(f"output is longer than {job['output_bytes']} bytes")
    return "".join(pieces)


def answer(job: dict[str, Any]) -> dict[str, str]:
    """Result or reason; whatever a template raises is its author's mistake and not ours."""
    try:
        return {"text": render(job)}
    except RefusedError as refusal:
        return {"refused": str(refusal)}
    except MemoryError:
        return {"refused": f"needs more than {job['memory_bytes'] >> 20} MiB of memory"}
    except RecursionError:
        return {"refused": "nested too deeply"}
    except Exception as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        reason = " ".join(str(error).split())[:300]
        return {"refused": f"{where}{type(error).__name__}: {reason}"}


def main() -> None:
    job = json.load(sys.stdin)
    limit(job["cpu_s"], job["memory_bytes"])
    sys.path.extend(job["paths"])
    sys.stdout.write(json.dumps(answer(job)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
