"""The independent engine of `make oracle`, in a process of its own: see tests/oracle/peer.py."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

PROGRAM = Path(__file__).parents[1] / "oracle" / "peer.py"


class PeerError(Exception):
    """The peer did not start, refused a model, or ended."""


class Peer(Protocol):
    """One model on the other side."""

    def tokenize(self, text: str, *, special: bool) -> list[int]: ...

    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        """(last, V): natural logarithms of the next token's probabilities at the last positions."""
        ...

    def greedy(self, ids: list[int], new: int) -> tuple[list[int], str]:
        """At most `new` ids, an end token included, and their text."""
        ...


class Connect(Protocol):
    """How to get the other side."""

    def facts(self) -> dict[str, str]:
        """What would run.

        Raises:
            PeerError: it cannot start here.
        """
        ...

    def load(self, path: Path, context: int) -> AbstractContextManager[Peer]:
        """A model on it.

        Raises:
            PeerError: it refuses the file.
        """
        ...


class Processes:
    """Starts PROGRAM with an interpreter that has `xllamacpp`."""

    def __init__(self, python: str) -> None:
        self._python = python

    def facts(self) -> dict[str, str]:
        with _Process([self._python, str(PROGRAM)]) as process:
            return process.facts

    def load(self, path: Path, context: int) -> _Process:
        return _Process([self._python, str(PROGRAM), str(path), str(context)])


class _Process:
    def __init__(self, command: list[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
            )
        except OSError as err:
            raise PeerError(f"cannot start {command[0]!r}: {(err.strerror or str(err)).lower()}") from err
        self.facts: dict[str, str] = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self._ask({"tokenize": text, "special": special})["ids"]
        return ids

    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        return np.array(self._ask({"logprobs": ids, "last": last})["logprobs"], np.float64)

    def greedy(self, ids: list[int], new: int) -> tuple[list[int], str]:
        answer = self._ask({"greedy": ids, "new": new})
        return answer["ids"], answer["text"]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `_answer` says how it ended
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip().splitlines()
            self._said.close()
            raise PeerError(f"ended with exit status {status}: {said[-1] if said else 'it said nothing'}")
        answer: dict[str, Any] = json.loads(line)
        return answer
