"""llama.cpp in a process of its own, asked line by line: see tests/bench/llama_cpp/peer.py."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, cast

from engine.bench.figure import Figure
from engine.bench.timer import Clock
from engine.errors import BackendError

PROGRAM = Path(__file__).parents[2] / "tests/bench/llama_cpp/peer.py"


class Peer:
    """Measured in the same rounds, on the same file and threads."""

    name = "llama.cpp"

    def __init__(self, python: str, path: Path, *, threads: int, context: int, clock: Clock) -> None:
        """Start it and load the model.

        Args:
            python: an interpreter that has `llama_cpp`.

        Raises:
            BackendError: it does not start.
        """
        if not PROGRAM.is_file():
            raise BackendError("peer: its program is part of the repository, not of an installation; run from there")
        command = [python, str(PROGRAM), str(path), str(threads), str(context), clock.__name__]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        except OSError as err:
            raise BackendError(f"peer: cannot start {python!r}: {(err.strerror or str(err)).lower()}") from err
        self.peak_bytes = 0
        self.facts = self._answer()

    def tokens_per_s(self, figure: Figure, new_tokens: int) -> float:
        """One run; decode starts behind one token at least, and behind a real prompt.

        Raises:
            BackendError: it ended.
        """
        if figure.kind == "prefill":
            return figure.tokens / self._ask(figure.tokens, 0)["prefill_s"]
        return new_tokens / self._ask(max(1, figure.tokens), new_tokens)["decode_s"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _ask(self, prompt: int, new: int) -> dict[str, float]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"prompt": prompt, "new": new}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `_answer` says how it ended
        answer = self._answer()
        self.peak_bytes = max(self.peak_bytes, answer["peak_bytes"])
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise BackendError(f"peer: {PROGRAM.name} ended with exit status {status}; is llama_cpp installed there?")
        return cast("dict[str, Any]", json.loads(line))
