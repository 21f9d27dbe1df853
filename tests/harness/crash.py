"""Kill `pv discharge`, and make its disk fail, at every moment: `python tests/harness/crash.py --help`.

    python tests/harness/crash.py --kills 1000      at random moments
    python tests/harness/crash.py --every           before every operation that changes a file, and amid every write
    python tests/harness/crash.py --errors          ENOSPC, EIO, EROFS, EDQUOT, EMFILE, EFBIG at every operation
    python tests/harness/crash.py --writers 16 --runs 300

Each trial runs the real planning, recording and block writing of a project with three falsifiers; only the tests
themselves give canned results. The promises: 0 torn files, 0 lost completed runs, 0 PASS invented, 0 stuck locks, and
an error is one line and an exit code, with the old evidence intact. The first broken promise is printed; exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.durability import Trials, delays
from support.file_operations import ERRORS


def attempt(what: str, trials: Iterable[Callable[[], None]]) -> int:
    """Run them all; the number of broken promises."""
    began, count, broken = time.monotonic(), 0, 0
    for trial in trials:
        count += 1
        try:
            trial()
        except (AssertionError, OSError) as err:
            broken += 1
            print(f"{what}, trial {count}: {err!r}", flush=True)
    print(f"{what}: {count} trials, {broken} broken promises, {time.monotonic() - began:.0f} s", flush=True)
    return broken


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--writers", type=int, default=0)
    parser.add_argument("--runs", type=int, default=10)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder))
        names = trials.operations
        print(f"one run: {len(names)} file operations, {len(trials.changing())} of them change something", flush=True)
        broken = attempt(
            "killed at random",
            (lambda d=delay: trials.kill_after(d) for delay in delays(trials, asked.kills, asked.seed)),
        )
        if asked.every:
            broken += attempt("killed before an operation", (lambda n=n: trials.kill_at(n) for n in trials.changing()))
            writes = [number for number, name in enumerate(names) if name.startswith("os.write")]
            broken += attempt("killed amid a write", (lambda n=n: trials.kill_at(n, half=True) for n in writes))
        if asked.errors:
            for error in ERRORS:
                broken += attempt(error, (lambda n=n, e=error: trials.fail_at(n, e) for n in range(len(names))))
        if asked.writers:
            what = f"{asked.writers} writers, {asked.runs} runs each"
            broken += attempt(what, [lambda: trials.together(asked.writers, asked.runs)])
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
