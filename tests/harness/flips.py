"""Change an evidence store in every small way; both verifiers must find each: `python tests/harness/flips.py`.

    every bit of every record, attachment and ledger line, of their names, and of a signed export
    every interval of lines removed, every line repeated, moved, swapped, and spliced in from another host's ledger
    every tail cut off, at every byte: torn or unanchored without an anchor, found with one

    --store DIR     a copy of this store, instead of that of a small project made for the purpose
    --stride N      every Nth bit and cut only; one bit of each kind of field always
    --part K/N      the Kth of N parts of the work, for as many processes side by side

The store is read whole after each change. Prints what was tried; exit code 1 if anything escaped, or if the two
verifiers disagree. TMPDIR in memory makes it faster.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from pv.evidence.verify import verify
from support.flips import Envelope, EscapedError, cut, edit, edits, flip, flip_name, one_of_each_field, write_store
from support.stores import files_of, judged


def attempt(what: str, trials: Iterable[Callable[[], object]]) -> int:
    """Run them all; how many escaped. What they return is counted, False not at all."""
    began, found, escaped = time.monotonic(), Counter[str](), 0
    for trial in trials:
        try:
            said = trial()
            found.update(["found"] if said in (None, True) else [str(said)] if said else [])
        except EscapedError as err:
            escaped += 1
            print(err, flush=True)
    counts = ", ".join(f"{count} {said}" for said, count in sorted(found.items()))
    print(f"{what}: {sum(found.values()) + escaped} tried, {counts}, {escaped} escaped, "
          f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    return escaped


def bits(files: dict[str, bytes], stride: int) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for name, data in files.items():
        chosen = set(range(0, 8 * len(data), stride))
        chosen |= {bit for kind, bit in one_of_each_field(name, data) if not (kind in seen or seen.add(kind))}
        yield from ((name, bit) for bit in sorted(chosen))


def every(
    store: Path, files: dict[str, bytes], heads: dict[str, str], envelope: Envelope, stride: int
) -> Iterator[tuple[str, Iterable[Callable[[], object]]]]:
    yield "bits of files", (partial(flip, store, name, bit) for name, bit in bits(files, stride))
    names = ((name, bit) for name in files for bit in range(0, 8 * len(name), stride))
    yield "bits of names", (partial(flip_name, store, name, bit) for name, bit in names)
    yield "bits of a signed export", (partial(envelope.flip, bit) for bit in range(0, 8 * len(envelope.data), stride))
    ledgers = {name: data.splitlines(keepends=True) for name, data in files.items() if name.startswith("ledger/")}
    for name, lines in ledgers.items():
        others = [line for other, theirs in ledgers.items() if other != name for line in theirs]
        yield f"{name}, lines", (partial(edit, store, name, said, changed) for said, changed in edits(lines, others))
        head, sizes = heads[Path(name).stem], range(0, len(files[name]), stride)
        yield f"{name}, tails", (partial(cut, store, name, size, head) for size in sizes)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--part", default="1/1")
    asked = parser.parse_args(arguments)
    if asked.part != "1/1" and asked.store is None:
        parser.error("--part needs --store, else each part would be one of another store")
    stride, (part, parts) = asked.stride, map(int, asked.part.split("/"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = shutil.copytree(asked.store, folder / "store") if asked.store else write_store(folder / "project")
        if judged(store) != (True, True):
            print("the store is damaged before anything is changed")
            return 1
        files, heads, envelope = files_of(store), verify(store).heads, Envelope(folder, store)
        print(f"{len(files)} files, {sum(map(len, files.values()))} bytes; "
              f"a signed export of {len(envelope.data)} bytes", flush=True)  # fmt: skip
        escaped = sum(
            attempt(what, itertools.islice(trials, part - 1, None, parts))
            for what, trials in every(store, files, heads, envelope, stride)
        )
        assert files_of(store) == files
        print(f"{escaped} escaped")
        return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
