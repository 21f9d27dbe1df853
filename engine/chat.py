"""Conversations to prompts, through the chat template stored in the model file.

The template is untrusted code, so it is rendered in a limited child process, `engine.chat_child`. A child takes about
0.1 s; results are kept, so a conversation that was rendered once costs nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from engine.errors import TemplateError
from engine.gguf.display import escape
from engine.gguf.reader import GgufFile

Message = Mapping[str, Any]
"""{'role': 'system' | 'user' | 'assistant', 'content': text}; other keys are passed to the template as they are."""

_CHILD = Path(__file__).with_name("chat_child.py")
_KEPT_RESULTS = 64
# A template cannot sleep, so its processor time bounds it; this ends a child that the machine does not let run.
_WALL_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a template may use; every real template needs far less."""

    cpu_s: int = 2
    memory_bytes: int = 512 << 20
    source_bytes: int = 256 << 10
    depth: int = 100
    """Nesting of the syntax tree."""
    nodes: int = 50_000
    """Nodes in the syntax tree."""
    output_bytes: int = 1 << 20


class ChatTemplate:
    """One template with the tokens it may name."""

    def __init__(
        self,
        source: str,
        *,
        bos: str = "",
        eos: str = "",
        now: datetime | None = None,
        limits: Limits | None = None,
        file_name: str = "",
    ) -> None:
        """Nothing is rendered or checked yet.

        Args:
            source: Jinja text.
            bos, eos: text of the tokens, as `bos_token` and `eos_token`.
            now: the clock of strftime_now; without one it stands at 2000-01-01, so that runs can be repeated.
            file_name: of the model, for messages.
        """
        self.source = source
        self.digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
        self.now = now or datetime(2000, 1, 1)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._limits = limits or Limits()
        self._where = f"{escape(file_name)}: GGUF-M12: " if file_name else ""
        self._results: OrderedDict[str, str] = OrderedDict()

    @classmethod
    def from_gguf(
        cls, file: GgufFile, *, bos: str = "", eos: str = "", now: datetime | None = None
    ) -> ChatTemplate | None:
        """The template of a model file, or None if it has none.

        Raises:
            TemplateError: it is not text, or given twice with different contents.
        """
        source = file.metadata.get("tokenizer.chat_template")
        second = file.metadata.get("tokenizer.chat_template.default", source)
        if source is None:
            source = second
        if source is None:
            return None
        if not isinstance(source, str):
            raise TemplateError(f"{escape(file.path.name)}: GGUF-M12: tokenizer.chat_template must be a string")
        if second != source:
            raise TemplateError(
                f"{escape(file.path.name)}: GGUF-M12: template refused: tokenizer.chat_template and "
                "tokenizer.chat_template.default differ; remove one"
            )
        return cls(source, bos=bos, eos=eos, now=now, file_name=file.path.name)

    def render(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool = True,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
    ) -> str:
        """The prompt of a conversation.

        Args:
            add_generation_prompt: end with the opening of the assistant's turn.
            tools: functions that the model may call, as JSON schemas; a template without them leaves them out.
            documents: texts to answer from, each {'title': text, 'text': text}; likewise.

        Raises:
            TemplateError: the template is over a limit, has an error, or refuses these messages.
        """
        variables = {
            **self._tokens,
            # clients send `content: null` beside calls; templates expect that it is not there
            "messages": [{key: value for key, value in message.items() if value is not None} for message in messages],
            "tools": None if tools is None else [dict(tool) for tool in tools],
            "documents": None if documents is None else [dict(document) for document in documents],
            "add_generation_prompt": add_generation_prompt,
        }
        key = json.dumps(variables)
        if key not in self._results:
            self._results[key] = self._render_in_child(variables)
            if len(self._results) > _KEPT_RESULTS:
                self._results.popitem(last=False)
        return self._results[key]

    def _render_in_child(self, variables: Mapping[str, Any]) -> str:
        if (size := len(self.source)) > self._limits.source_bytes:
            raise self._refused(f"source is {size} characters, at most {self._limits.source_bytes} bytes are allowed")
        job = {
            **asdict(self._limits),
            "paths": _jinja_folders(),
            "source": self.source,
            "now": self.now.isoformat(),
            "variables": variables,
        }
        try:
            # -I and -S: no environment variables, no user or site folders, nothing but this file and Jinja.
            child = subprocess.run(
                [sys.executable, "-I", "-S", str(_CHILD)],
                input=json.dumps(job).encode(),
                capture_output=True,
                check=False,
                env={},
                timeout=_WALL_LIMIT_S,
            )
        except subprocess.TimeoutExpired as err:
            raise self._refused(f"not rendered after {_WALL_LIMIT_S:g} s") from err
        if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            raise self._refused(f"needs more than {self._limits.cpu_s} s of processor time")
        try:
            result: dict[str, str] = json.loads(child.stdout)
        except ValueError as err:
            raise self._refused(f"the renderer ended with status {child.returncode} and no result") from err
        if "text" not in result:
            raise self._refused(result["refused"])
        return result["text"]

    def _refused(self, reason: str) -> TemplateError:
        return TemplateError(f"{self._where}chat template refused: {escape(reason)}")


@cache
def _jinja_folders() -> list[str]:
    folders = set()
    for package in ("jinja2", "markupsafe"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise TemplateError(f"chat templates need the package {package}, which is not installed")
        folders.add(str(Path(spec.origin).parent.parent))
    return sorted(folders)
