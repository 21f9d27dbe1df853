"""A fuzz campaign against the GGUF reader, with its own control: `python tests/harness/fuzz_gguf.py --help`.

    python tests/harness/fuzz_gguf.py --mutants 1000000      every mutant refused by our error or rightly accepted
    python tests/harness/fuzz_gguf.py --planted              bugs planted one by one, each must be found
    python tests/harness/fuzz_gguf.py --bytes                every byte of a valid file changed to every other value

Every answer is compared with that of a second reader, so a file that is wrongly accepted or wrongly refused is a
finding too; so is any other exception, more than a second of processor time, or more than 256 MiB of memory.
Exit code 1 on a finding, or on a planted bug that was missed. A mutant is made from --seed and its number alone, and
is tried again by --only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support import gguf_campaign, gguf_flips
from support.gguf_builder import valid_file
from support.gguf_campaign import Tally
from support.gguf_planted import BUGS, Bug, plant

STRETCH = 10_000
PLANTED_BUDGET = 50_000


def stretch(job: tuple[int, int, int]) -> Tally:
    """One stretch of mutants, in a worker."""
    seed, first, last = job
    return gguf_campaign.run(seed, range(first, last))


def hunt(job: tuple[int, Bug, int]) -> tuple[str, str]:
    """The bug's name, and what gave it away; empty if nothing did within the budget."""
    seed, bug, budget = job
    plant(bug)
    gguf_campaign.limit_memory()
    findings = gguf_campaign.run(seed, range(budget), stop_at=1).findings
    return bug.name, findings[0] if findings else ""


def campaign(seed: int, mutants: int, workers: int) -> Tally:
    """All mutants 0..mutants-1."""
    jobs = [(seed, first, min(first + STRETCH, mutants)) for first in range(0, mutants, STRETCH)]
    tally = Tally()
    with multiprocessing.get_context("fork").Pool(workers, gguf_campaign.limit_memory) as pool:
        for part in pool.imap_unordered(stretch, jobs):
            tally.add(part)
    return tally


def planted(seed: int, budget: int, workers: int) -> dict[str, str]:
    """What gave each planted bug away."""
    jobs = [(seed, bug, budget) for bug in BUGS]
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        return dict(pool.imap_unordered(hunt, jobs, chunksize=1))


def flipped(places: range) -> tuple[list[tuple[int, int]], int, int]:
    """All other values of these bytes of the valid file, in a worker."""
    return gguf_flips.unseen(valid_file().build(), places, range(1, 256))


def every_byte(workers: int) -> list[tuple[int, int]]:
    """Prints the numbers; what was neither refused nor seen."""
    size, step = len(valid_file().build()), 50
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        parts = pool.map(flipped, [range(first, min(first + step, size)) for first in range(0, size, step)], 1)
    refused, seen = (sum(part[column] for part in parts) for column in (1, 2))
    missed = [each for part in parts for each in part[0]]
    print(f"{size} bytes x 255 changes: {refused} refused, {seen} seen in a digest, {len(missed)} unseen {missed[:9]}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=0, metavar="N")
    parser.add_argument("--within", type=float, metavar="SECONDS", help="the mutants must not take longer")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--bytes", action="store_true")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one mutant, again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if not (asked.mutants or asked.planted or asked.bytes or asked.only is not None):
        parser.error("give --mutants, --planted, --bytes or --only")
    failed = asked.bytes and bool(every_byte(asked.workers))
    if asked.only is not None:
        tally = gguf_campaign.run(asked.seed, [asked.only])
        print(*(tally.findings or tally.codes or ["rightly accepted"]))
        failed = bool(tally.findings)
    if asked.mutants:
        began = time.monotonic()
        tally = campaign(asked.seed, asked.mutants, asked.workers)
        print(*tally.findings, sep="\n", end="\n" if tally.findings else "")
        took, refused = time.monotonic() - began, sum(tally.codes.values())
        print(
            f"{tally.mutants} mutants in {took:.0f} s on {asked.workers} processes: {refused} "
            f"refused by {len(tally.codes)} rules, {tally.accepted} rightly accepted, {len(tally.findings)} findings, "
            f"slowest {tally.slowest_s * 1e3:.0f} ms"
        )
        failed = failed or bool(tally.findings) or tally.mutants != asked.mutants
        if asked.within and took > asked.within:
            print(f"took {took:.0f} s, must not take more than {asked.within:.0f} s")
            failed = True
    if asked.planted:
        found = planted(asked.seed, PLANTED_BUDGET, asked.workers)
        for name, how in found.items():
            print(f"{name}: {how or 'NOT FOUND'}")
        print(f"{sum(map(bool, found.values()))} of {len(BUGS)} planted bugs found")
        failed = failed or not all(found.values())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
