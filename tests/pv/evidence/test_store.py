import hashlib
import json

import pytest

from pv.errors import EvidenceError
from pv.evidence.store import Store, canonical
from support.records import make_statement


def only_file(store):
    (path,) = store.records.glob("*.json")
    return path


def test_a_record_is_named_by_the_sha256_of_its_bytes(tmp_path):
    store = Store(tmp_path)
    digest = store.add(make_statement())
    path = only_file(store)
    assert digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() == f"sha256:{path.stem}"
    assert store.read(digest) == make_statement()


def test_the_same_record_twice_is_one_file(tmp_path):
    store = Store(tmp_path)
    assert store.add(make_statement()) == store.add(make_statement())
    assert [stored.statement for stored in store] == [make_statement()]


def test_every_changed_bit_is_found(tmp_path):
    store = Store(tmp_path)
    store.add(make_statement())
    path = only_file(store)
    good = path.read_bytes()
    for bit in range(0, 8 * len(good), 31):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(EvidenceError, match="was changed after it was written"):
            list(store)


def rename_to_match(path, data):
    """What a forger does: make the name fit the new bytes."""
    path.unlink()
    path.with_name(hashlib.sha256(data).hexdigest() + ".json").write_bytes(data)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda value: value["predicate"].update(result="GREAT"), "predicate.result"),
        (lambda value: value["predicate"].update(verdict="PASS"), "predicate.verdict"),
        (lambda value: value["predicate"].pop("values") and value["predicate"].pop("tests"), "predicate.tests"),
        (lambda value: value.update(predicateType="urn:other"), "predicateType"),
        (lambda value: value.update(subject=[]), "subject"),
    ],
    ids=["unknown result", "unknown field", "missing field", "other predicate", "no subject"],
)
def test_a_record_that_is_not_of_this_shape_is_refused(tmp_path, edit, message):
    store = Store(tmp_path)
    store.add(make_statement())
    path = only_file(store)
    value = json.loads(path.read_text())
    edit(value)
    rename_to_match(path, canonical(value))
    with pytest.raises(EvidenceError, match=message):
        list(store)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b'{"a":1,"a":2}', "a key stands twice"), (b'{"a":NaN}', "NaN is not a number"), (b"{} {}", "is not a record")],
    ids=["duplicate key", "NaN", "trailing data"],
)
def test_loose_json_is_refused(tmp_path, data, message):
    store = Store(tmp_path)
    store.records.mkdir()
    (store.records / f"{hashlib.sha256(data).hexdigest()}.json").write_bytes(data)
    with pytest.raises(EvidenceError, match=message):
        list(store)


def test_a_store_on_a_file_says_what_is_wrong(tmp_path):
    (tmp_path / "evidence").write_text("not a folder")
    with pytest.raises(EvidenceError, match="evidence"):
        Store(tmp_path / "evidence").add(make_statement())
