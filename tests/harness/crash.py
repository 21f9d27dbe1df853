"""Kill `pv discharge`, and make its disk fail, at every moment: `python tests/harness/crash.py --help`.

    python tests/harness/crash.py --kills 1000      at random moments
    python tests/harness/crash.py --every           before every operation that changes a file, and amid every write
    python tests/harness/crash.py --errors          ENOSPC, EIO, EROFS, EDQUOT, EMFILE, EFBIG at every operation
    python tests/harness/crash.py --stays           from every operation on, a disk that is full, damaged or read-only
    python tests/harness/crash.py --writers 16 --runs 300
    python tests/harness/crash.py --errors --stays --sample 20      20 operations of each kind, evenly spread

Each is done to each project: few (3 falsifiers in one contract, after a run), first (the same, before any run) and
many (12 contracts with one falsifier each: records and blocks are written by several threads).
Each trial runs the real planning, recording and block writing; only the tests themselves give canned results.
The promises: 0 torn files, 0 lost completed runs, 0 PASS invented, 0 stuck locks, and an error is one line and an
exit code, with the old evidence intact. Every broken promise is printed; exit code 1. TMPDIR says on which disk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.durability import CHANGING, PROJECTS, Trials, delays
from support.file_operations import ERRORS, STAYS_BROKEN


def attempt(what: str, trials: Iterable[Callable[[], None]]) -> tuple[int, int]:
    """Run them all; how many, and how many broke a promise."""
    began, count, broken = time.monotonic(), 0, 0
    for trial in trials:
        count += 1
        try:
            trial()
        except Exception as err:
            broken += 1
            print(f"{what}, trial {count}: {err!r}", flush=True)
    print(f"{what}: {count} trials, {broken} broken promises, {time.monotonic() - began:.0f} s", flush=True)
    return count, broken


def _spread(names: Sequence[str], most: int) -> Sequence[str]:
    """At most so many of them, the first and the last included; all for 0."""
    if not most or len(names) <= most:
        return names
    return [names[round(index * (len(names) - 1) / max(1, most - 1))] for index in range(most)]


def wanted(trials: Trials, asked: argparse.Namespace) -> Iterable[tuple[str, Iterable[Callable[[], None]]]]:
    names, changing = _spread(trials.operations, asked.sample), _spread(trials.changing(), asked.sample)
    if asked.kills:
        yield "killed at random", (lambda d=d: trials.kill_after(d) for d in delays(trials, asked.kills, asked.seed))
    if asked.every:
        yield "killed before an operation", (lambda n=n: trials.kill_at(n) for n in changing)
        writes = _spread(trials.writes(), asked.sample)
        yield "killed amid a write", (lambda n=n: trials.kill_at(n, half=True) for n in writes)
    for error in asked.errno or ERRORS if asked.errors else ():
        yield error, (lambda n=n, e=error: trials.fail_at(n, e) for n in names)
    for error in STAYS_BROKEN if asked.stays else ():
        yield f"{error} and stays", (lambda n=n, e=error: trials.fail_at(n, e, stays=True) for n in changing)
    if asked.writers:
        what = f"{asked.writers} writers, {asked.runs} runs each"
        yield what, [lambda: trials.together(asked.writers, asked.runs)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--errno", choices=ERRORS, action="append")
    parser.add_argument("--stays", action="store_true")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only N operations of each kind")
    parser.add_argument("--writers", type=int, default=0)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--project", choices=PROJECTS, action="append")
    asked = parser.parse_args(arguments)
    total = broken = 0
    for project in asked.project or PROJECTS:
        with tempfile.TemporaryDirectory() as folder:
            trials = Trials(Path(folder), project)
            print(f"{project}: {len(trials.operations)} file operations in one run, {len(trials.changing())} of them "
                  f"{', '.join(CHANGING)}", flush=True)  # fmt: skip
            for what, made in wanted(trials, asked):
                count, bad = attempt(f"{project}, {what}", made)
                total, broken = total + count, broken + bad
    print(f"{total} trials, {broken} broken promises")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
