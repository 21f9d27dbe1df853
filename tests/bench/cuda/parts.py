"""Steps in processes of their own, each with a time limit: one that hangs or crashes costs only itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_GRACE_S = 10.0


@dataclass(frozen=True)
class Done:
    """How one part ended."""

    name: str
    seconds: float
    limit_s: float
    status: int | None
    """Exit status; None: it ran past its limit, or was not started."""
    note: str = ""

    def line(self) -> str:
        how = self.note or (f"exit status {self.status}" if self.status is not None else "ended at its limit")
        return f"{self.name:24} {self.seconds:6.1f} s of {self.limit_s:5.0f} s   {how}"


@dataclass
class Budget:
    """Time for all parts of a phase together."""

    total_s: float
    log: Path
    """All output of the parts, which is printed as well."""
    done: list[Done] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Another phase, with all of the time again."""
        self.started = time.monotonic()

    @property
    def left_s(self) -> float:
        return self.total_s - (time.monotonic() - self.started)

    def run(
        self, name: str, command: Sequence[str | Path], *, limit_s: float, root: Path, environment: Mapping[str, str]
    ) -> Done:
        """Run one part, with less than its limit where less is left."""
        limit = min(limit_s, self.left_s)
        if limit <= 0:
            return self._note(Done(name, 0.0, limit_s, None, "not started: no time left"))
        self._say(f"\n== {name}, at most {limit:.0f} s: {' '.join(map(str, command))}\n")
        start = time.monotonic()
        try:
            child = subprocess.Popen(
                [*map(str, command)], cwd=root, env={**os.environ, **environment}, text=True, errors="replace",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as err:
            return self._note(Done(name, 0.0, limit, None, f"not started: {err}"))
        # printed as it comes: whoever ends this process has seen what was measured until then
        reader = threading.Thread(target=self._pass_on, args=(child,), daemon=True)
        reader.start()
        try:
            status: int | None = child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            _stop(child)
            status = None
        reader.join(_GRACE_S)
        return self._note(Done(name, time.monotonic() - start, limit, status))

    def _pass_on(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None, "the output is a pipe"
        for line in child.stdout:
            self._say(line)

    def skip(self, name: str, why: str) -> Done:
        """Note a part that cannot run."""
        return self._note(Done(name, 0.0, 0.0, None, why))

    def _note(self, done: Done) -> Done:
        self.done.append(done)
        self._say(f"== {done.line()}\n")
        return done

    def _say(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        with self.log.open("a") as log:
            log.write(text)


def _stop(child: subprocess.Popen[str]) -> None:
    """End the child and what it started: first asked, then killed."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_GRACE_S)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
