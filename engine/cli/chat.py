"""`q4k chat`: a conversation on the terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from engine.cli import options
from engine.cli.outcomes import guarded, say

if TYPE_CHECKING:
    from engine.llm import Llm
    from engine.sampling import Sampling

HELP = "/reset forgets the conversation, /exit or end of input ends, Ctrl-C stops an answer"


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    system: options.System = None,
    max_tokens: options.MaxTokens = 256,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = 0,
    top_p: options.TopP = 1.0,
    min_p: options.MinP = 0.0,
    seed: options.Seed = None,
    gpu: options.Gpu = None,
    backend: options.Backend = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    kv_cache: options.KvCache = None,
    allow_fallback: options.AllowFallback = False,
) -> None:
    """Talk with a model; it sees the whole conversation."""
    from engine.cli.text import say_what_runs

    options.check_at_least("--max-tokens", max_tokens, 1)
    params = options.sampling(temperature, top_k, top_p, min_p, seed)
    with options.load(model, teacher, backend, gpu, precision, allow_fallback, threads, kv_cache) as llm:
        say_what_runs(llm)
        say(HELP)
        Conversation(llm, params, max_tokens, system).run()


class Conversation:
    """Lines in, answers out, until /exit or the end of input."""

    def __init__(self, llm: Llm, params: Sampling, max_tokens: int, system: str | None) -> None:
        self._llm = llm
        self._params = params
        self._max_tokens = max_tokens
        self._opening = [] if system is None else [{"role": "system", "content": system}]
        self._messages = list(self._opening)

    def run(self) -> None:
        """Read lines and answer them."""
        _enable_line_editing()
        while (line := _read_line()) is not None:
            match line.strip():
                case "":
                    continue
                case "/exit":
                    return
                case "/reset":
                    self._messages = list(self._opening)
                    say("conversation forgotten")
                case "/help":
                    say(HELP)
                case text if text.startswith("/"):
                    say(f"no such command {text.split()[0]!r}; {HELP}")
                case text:
                    self._answer(text)

    def _answer(self, text: str) -> None:
        from engine.cli.text import write
        from engine.errors import EngineError, GgufError

        self._messages.append({"role": "user", "content": text})
        said: list[str] = []

        def show(piece: str) -> None:
            said.append(piece)
            write(piece)

        try:
            self._llm.generate(self._messages, max_tokens=self._max_tokens, sampling=self._params, on_text=show)
        except KeyboardInterrupt:
            say("stopped")
        except GgufError:
            raise  # the model file changed: it answers nothing more
        except EngineError as err:
            self._messages.pop()
            say(f"{err}; /reset starts anew")
            return
        write("\n")
        self._messages.append({"role": "assistant", "content": "".join(said)})


def _read_line() -> str | None:
    """One line of input without its end; None at the end of input. Ctrl-C gives an empty line."""
    try:
        if sys.stdin.isatty():
            return input("> ")
        return sys.stdin.readline() or None
    except EOFError:
        return None
    except KeyboardInterrupt:
        say("use /exit or end of input to leave")
        return ""


def _enable_line_editing() -> None:
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - editing and history of `input` come with the import
