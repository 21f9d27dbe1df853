"""What a store says cannot be changed without being found; `python tests/harness/flips.py` tries every bit."""

import random
from collections import Counter
from pathlib import Path

import pytest

from pv.evidence.verify import verify
from support.flips import (
    Envelope,
    EscapedError,
    cut,
    edit,
    edits,
    flip,
    flip_name,
    found_by_both,
    one_of_each_field,
    write_store,
)
from support.stores import files_of, judged


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = write_store(tmp_path_factory.mktemp("flips") / "project")
    before = files_of(made)
    assert judged(made) == (True, True)
    yield made
    assert files_of(made) == before


@pytest.fixture(scope="module")
def ledgers(store):
    """Lines of each host's ledger, by its path."""
    files = files_of(store)
    return {name: data.splitlines(keepends=True) for name, data in files.items() if name.startswith("ledger/")}


def test_a_bit_of_each_field_of_records_lines_and_attachments(store):
    chosen = {
        kind: (name, bit) for name, data in files_of(store).items() for kind, bit in one_of_each_field(name, data)
    }
    assert {kind.split()[1].rstrip(":") for kind in chosen if kind.startswith("ledger")} == {
        "intent", "result", "end", "block",
    }  # fmt: skip
    assert len(chosen) > 250
    for name, bit in chosen.values():
        flip(store, name, bit)


def test_some_bits_of_names(store):
    chosen = random.Random(1)
    tried = sum(
        flip_name(store, name, bit) for name in files_of(store) for bit in chosen.sample(range(8 * len(name)), 12)
    )
    assert tried > 50


def test_some_bits_of_a_signed_export(store, tmp_path):
    envelope = Envelope(tmp_path, store)
    fields = [bit for _, bit in one_of_each_field("signed.json", envelope.data)]
    padding = 8 * envelope.data.rindex(b"=")
    unused = range(padding - 24, padding)  # base64 ends in bits that mean nothing
    for bit in [*range(0, 8 * len(envelope.data), 97), *fields, *unused]:
        envelope.flip(bit)


def test_lines_removed_repeated_moved_and_spliced(store, ledgers):
    for name, lines in ledgers.items():
        others = [line for other, theirs in ledgers.items() if other != name for line in theirs]
        tried = sum(edit(store, name, said, changed) for said, changed in edits(lines, others))
        assert tried > len(lines) ** 2


def test_tails_cut_off_are_torn_or_unanchored(store, ledgers):
    """Without an anchor no cut is said to be whole; with one every cut is found."""
    heads = verify(store).heads
    said: Counter[str] = Counter()
    for name, lines in ledgers.items():
        ends = [sum(map(len, lines[:count])) for count in range(len(lines) + 1)]
        sizes = {size for end in ends for size in (end - 1, end, end + 1)} | set(range(0, ends[-1], 41))
        for size in sorted(sizes & set(range(ends[-1]))):
            said[cut(store, name, size, heads[Path(name).stem])] += 1
    assert said.keys() == {"damaged", "torn", "unanchored"}


def test_what_escapes_is_told(store):
    """A control: nothing is changed."""
    with pytest.raises(EscapedError, match=r"nothing: pv missed it, the second missed it"):
        found_by_both(store, "nothing")
