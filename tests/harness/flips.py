"""Flip bits of a real evidence store, one at a time: `python tests/harness/flips.py STORE [stride]`.

Every bit of every record and every ledger line, or one in `stride`; both verifiers must find each. The store is not
touched: the changed files are copies. Prints how many were flipped and how many were found by each; exit code 1 if any
escaped, or if the two disagree.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from pv.errors import EvidenceError
from pv.evidence.ledger import Ledger
from pv.evidence.store import Store
from support.stores import SECOND, files_of


def is_clean(folder: Path, name: str) -> tuple[bool, bool]:
    """Whether pv, and the second verifier, find nothing wrong with the one file in this folder."""
    second = SECOND(folder, {})
    if name.startswith("ledger/"):
        host = Path(name).stem
        second.read_ledger(host)
        # Its records are not here; only what is wrong with the lines themselves counts.
        theirs = [problem for problem in second.problems if "record" not in problem]
        return not Ledger(folder, host).verify(), not theirs
    try:
        Store(folder).parse(folder / name)
    except EvidenceError:
        return False, not second.read_record(folder / name)
    return True, not second.read_record(folder / name)


def main(store: Path, stride: int) -> int:
    files = {name: data for name, data in files_of(store).items() if name.startswith(("records/", "ledger/"))}
    began, flipped, escaped = time.monotonic(), 0, [0, 0]
    for name, good in files.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir()
            path.write_bytes(good)
            if is_clean(Path(folder), name) != (True, True):
                print(f"{name} is damaged before any bit is flipped")
                return 1
            for bit in range(0, 8 * len(good), stride):
                changed = bytearray(good)
                changed[bit // 8] ^= 1 << bit % 8
                path.write_bytes(changed)
                flipped += 1
                for index, clean in enumerate(is_clean(Path(folder), name)):
                    escaped[index] += clean
    found = ", ".join(
        f"{who} found {flipped - count}" for who, count in zip(("pv", "the second"), escaped, strict=True)
    )
    print(f"{len(files)} files, {flipped} flipped bits: {found}; {time.monotonic() - began:.0f} s")
    return 1 if any(escaped) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
