"""Places of keys and values, counted by hand in `support.contract_text.VALID`."""

from __future__ import annotations

from pv.load import load_text
from pv.schema.location import Location
from support.contract_text import VALID, title

PLACES = load_text(VALID.encode(), "c.yaml").locations


def test_value_spans_its_text() -> None:
    assert PLACES.get(("title",)) == Location("c.yaml", 4, 8, 4, 16)
    assert PLACES[("obligations", 0, "tolerance", "limit")] == Location("c.yaml", 16, 41, 16, 45)


def test_key_spans_its_name() -> None:
    assert PLACES.key(("title",)) == Location("c.yaml", 4, 1, 4, 6)
    assert PLACES.key(("equations", "rms")) == Location("c.yaml", 7, 3, 7, 6)


def test_list_entry_is_its_own_key() -> None:
    assert PLACES.key(("falsifiers", 0, "refutes", 0)) == PLACES.get(("falsifiers", 0, "refutes", 0))
    assert str(PLACES.get(("falsifiers", 0, "refutes", 0))) == "c.yaml:19:15"


def test_block_ends_where_its_last_value_ends() -> None:
    """The parser itself puts the end at the next token, lines further down."""
    assert PLACES.get(("equations",)) == Location("c.yaml", 7, 3, 10, 23)
    assert PLACES.get(("obligations", 0)) == Location("c.yaml", 12, 5, 16, 83)


def test_flow_collection_spans_its_brackets() -> None:
    assert PLACES.get(("falsifiers", 0, "targets")) == Location("c.yaml", 22, 14, 22, 19)


def test_block_text_is_placed_at_its_indicator() -> None:
    places = load_text(title("|\n  one\n  two"), "c.yaml").locations
    assert places.get(("title",)) == Location("c.yaml", 4, 8, 4, 9)


def test_missing_path_is_answered_by_what_is_above() -> None:
    assert PLACES.get(("obligations", 0, "equation", "x", 3)) == PLACES.get(("obligations", 0, "equation"))
    assert PLACES.get(("obligations", 7)) == PLACES.get(("obligations",))
    assert PLACES.key(("waivers",)) == Location("c.yaml", 1, 1, 1, 1)
    assert ("waivers",) not in PLACES
    assert ("obligations", 0, "equation") in PLACES


def test_columns_count_characters_not_bytes() -> None:
    places = load_text(title("é😀 {x}").replace(b"id: rms-norm", b"id: 'rms-norm'"), "c.yaml").locations
    assert places.get(("title",)).end_column == 8 + len("é😀 {x}")


def test_byte_order_mark_does_not_shift_columns() -> None:
    places = load_text(b"\xef\xbb\xbf" + VALID.encode(), "c.yaml").locations
    assert places.get(("id",)) == Location("c.yaml", 1, 5, 1, 13)


def test_file_without_a_root_has_one_place() -> None:
    places = load_text(b"", "c.yaml").locations
    assert places.get(("a", 0)) == places.key(("a",)) == Location("c.yaml", 1, 1, 1, 1)
