"""Real `pv discharge` processes at the same time: `python tests/harness/concurrency.py [--rounds N] [--at-once 2,16]`.

Each round starts so many processes at once, with real pytest falsifiers that hold, are refuted or break:

    same        all on the same contract
    disjoint    each on a contract of its own
    overlapping each on three contracts that it shares with others
    killed      all on the same contract, a third of them killed at random

While they run, the store is verified again and again. Afterwards: no update lost, the ledgers whole, every block what
the evidence says, the lock free, exit codes right, every run listed. Exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.simultaneous import OUTCOMES, at_once, settled, write_claims

WAYS = ("same", "disjoint", "overlapping", "killed")


def selections(root: Path, way: str, count: int) -> list[list[str]]:
    """The contracts of each run; those that hold first, so that two runs have challenges too."""
    kinds = list(OUTCOMES)
    names = write_claims(root, [kinds[number % 3] for number in range(count if way == "disjoint" else 3)])
    if way == "disjoint":
        return [[name] for name in names]
    return [names if way == "overlapping" else names[:1]] * count


def code_of(run: list[str]) -> int:
    """A refuted contract beats an undecided one, as the help of `pv discharge` says."""
    codes = {OUTCOMES[name.partition("-")[0]][2] for name in run}
    return 1 if 1 in codes else max(codes)


def once(way: str, count: int, seed: int) -> int:
    """How often the store was verified meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        runs = selections(root, way, count)
        kills = -(-count // 3) if way == "killed" else 0
        ran = at_once(root, runs, kills=kills, seed=seed)
        ended = [run for run, code in zip(runs, ran.codes, strict=True) if code != -9]
        assert len(ended) >= count - kills, ran
        wrong = [(run, code) for run, code in zip(runs, ran.codes, strict=True) if code not in (-9, code_of(run))]
        assert not wrong, wrong
        settled(root, ended, killed=count - len(ended))
        return ran.reads


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--at-once", default="2,16")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    rounds = processes = reads = broken = 0
    for number in range(asked.rounds):
        for count in map(int, asked.at_once.split(",")):
            for way in WAYS:
                began = time.monotonic()
                rounds, processes = rounds + 1, processes + count
                try:
                    reads += once(way, count, asked.seed + number)
                    said = "kept"
                except AssertionError as err:
                    broken, said = broken + 1, f"BROKEN: {err!r}"
                print(f"{count} at once, {way}: {said}, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{rounds} rounds, {processes} processes, {reads} verifications meanwhile, {broken} broken promises")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
