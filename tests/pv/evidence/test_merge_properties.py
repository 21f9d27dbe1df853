"""A merge is a union: any order, any grouping, any target, any number of times gives the same bytes.

`python tests/harness/merges.py` makes more trials.
"""

import itertools
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from pv.evidence.ledger import Ledger
from pv.evidence.merge import merge
from pv.evidence.store import Store
from pv.evidence.verify import verify
from support.merges import snapshots, trial
from support.stores import SECOND, files_of, write_files


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk():
    with patch.object(os, "fsync"):
        yield


@pytest.mark.parametrize("seed", range(4))
def test_any_order_grouping_target_and_number_of_merges(tmp_path, seed):
    assert trial(tmp_path, seed) >= 30


def test_four_stores_in_every_order_into_every_one_of_them(tmp_path):
    """Exhaustive where the trials above draw: 24 orders, each at once or into its first store."""
    stores = []
    for number, kinds in enumerate(
        [("PASS", "FAIL", "PASS"), ("ERROR", "torn"), ("FAIL", "orphan"), ("foreign", "PASS")]
    ):
        snapshots(tmp_path / f"s{number}", f"host-{number}", kinds)
        stores.append(tmp_path / f"s{number}")
    merge(tmp_path / "all", stores)
    expected = files_of(tmp_path / "all")
    assert len([name for name in expected if name.startswith("records/")]) == 10
    for number, order in enumerate(itertools.permutations(stores)):
        into = write_files(tmp_path / f"into{number}", files_of(order[0]) if number % 2 else {})
        merge(into, order[number % 2 :])
        assert files_of(into) == expected


def test_conflicting_results_of_two_hosts_for_one_fingerprint_are_a_finding(tmp_path):
    """In any order; the same results for different inputs, and a PASS beside an ERROR, are none."""
    for host, kinds in {"host-a": ["PASS"], "host-b": ["FAIL"], "host-c": ["ERROR"]}.items():
        snapshots(tmp_path / host, host, kinds)
    for first, second, count in (("a", "b", 1), ("b", "a", 1), ("a", "c", 0), ("b", "c", 0)):
        found = merge(tmp_path / f"{first}{second}", [tmp_path / f"host-{first}", tmp_path / f"host-{second}"]).result
        assert (found.problems, len(found.conflicts), found.is_clean) == ([], count, not count)
        if count:
            (conflict,) = found.conflicts
            assert conflict.where == "doubling FALSIFY-DOUBLE-001 on cpu"
            assert all(stored.digest in conflict.what for stored in Store(tmp_path / f"{first}{second}"))
            assert SECOND(tmp_path / f"{first}{second}", {}).run() != []


def test_a_file_that_two_hosts_share_is_not_taken_back_from_the_first(tmp_path, monkeypatch):
    """The disk is full when the second host's ledger is written."""
    for host in ("host-a", "host-b"):
        snapshots(tmp_path / host, host, ["PASS"])
    real = Path.replace

    def full(path, target):
        if target == Ledger(tmp_path / "all", "host-b").path:
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Exception, match="No space left on device"):
        merge(tmp_path / "all", [tmp_path / "host-a", tmp_path / "host-b"])
    assert files_of(tmp_path / "all") == files_of(tmp_path / "host-a")
    assert verify(tmp_path / "all").is_clean
