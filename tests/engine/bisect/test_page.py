"""The page: a map that can be read without colour, nothing from elsewhere, and what files are called stays text."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.bisect import page
from engine.bisect.bisection import FP64
from engine.bisect.judge import Verdict
from engine.errors import ParityError
from engine.faults.scaling import bias_dropped
from support import bisected, tiny_qwen2


class Seen(HTMLParser):
    """Tags with their attributes, and the text of table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")
        self._in_cell = tag == "td"

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    path = tiny_qwen2.write_tiny(folder / "<img src=x onerror=alert(1)>&.gguf")
    session = bisected.recorded(folder / "taps", path, fault=bias_dropped())
    bisection = bisected.bisection(session, path)
    judgement = bisection.judgement(golden=FP64)
    assert judgement.verdict is Verdict.B_WRONG
    page.write(folder / "page.html", judgement, session, bisection.coverage(judgement), [])
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(written: str) -> Seen:
    parser = Seen()
    parser.feed(written)
    return parser


def test_verdict_and_place_come_first(written: str):
    head = written[written.index("<main>") :][:400]
    assert '<h1 class="bad">b is wrong</h1>' in head
    assert "<strong>layer 0 q_bias</strong>, position 0, channel" in head


def test_three_maps_of_two_layers_and_twenty_taps(seen: Seen):
    assert len(seen.cells) == 3 * 2 * 20
    assert sum("first" in (found.get("class") or "").split() for tag, found in seen.tags if tag == "td") == 1


def test_every_cell_has_its_number_and_says_where_it_is(seen: Seen):
    cells = [found for tag, found in seen.tags if tag == "td"]
    for text, found in zip(seen.cells, cells, strict=True):
        assert found["title"]
        assert bool(text) is (found["class"] != "none")


def test_nothing_is_loaded_and_nothing_runs(seen: Seen, written: str):
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in seen.tags}
    assert not [found for _, found in seen.tags if {"src", "href"} & set(found)]
    assert "url(" not in written
    assert "@import" not in written


def test_a_hostile_file_name_stays_text(written: str):
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;.gguf" in written


def test_both_colour_schemes_and_narrow_screens_are_served(written: str):
    assert "prefers-color-scheme: dark" in written
    assert 'name="viewport"' in written
    assert "overflow-x: auto" in written


@pytest.mark.parametrize(
    ("times", "level", "label"),
    [
        (0.0, 0, "0.0"), (0.1, 0, "0.1"), (0.5, 1, "0.5"), (1.0, 2, "1.0"), (1.01, 3, "1.0"), (9.96, 4, "10"),
        (99.0, 5, "99"), (999.4, 6, "999"), (1234.0, 6, "1k"), (2.5e6, 6, "1e6"), (float("inf"), 6, "inf"),
        (float("nan"), 6, "inf"),
    ],
)  # fmt: skip
def test_colour_and_label_of_a_cell(times: float, level: int, label: str):
    assert (page.level(times), page.label(times)) == (level, label)


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    session = bisected.recorded(tmp_path / "taps", path)
    bisection = bisected.bisection(session, path)
    judgement = bisection.judgement()
    with pytest.raises(ParityError, match="cannot be written"):
        page.write(tmp_path, judgement, session, bisection.coverage(judgement), [])
