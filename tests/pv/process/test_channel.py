"""The parent believes nothing that is not a whole, small, strict JSON object."""

from __future__ import annotations

import os

import pytest

from pv.process.channel import MAX_LINE_BYTES, MAX_TOTAL_BYTES, ChannelError, Reader, Writer


def test_records_arrive_in_order_however_the_bytes_are_cut() -> None:
    reader = Reader()
    data = b'{"kind":"a","n":1}\n{"kind":"b","n":2}\n'
    got = [record for index in range(len(data)) for record in reader.feed(data[index : index + 1])]
    assert got == [{"kind": "a", "n": 1}, {"kind": "b", "n": 2}]


@pytest.mark.parametrize(
    "line",
    [b"", b"x", b"[]", b"1", b'{"kind":1}', b'{"n":1}', b'{"kind":"a","v":NaN}', b'{"kind":"a"} x', b"[" * 100_000],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ChannelError):
        list(Reader().feed(line + b"\n"))


def test_good_records_before_a_bad_one_are_given() -> None:
    """They say which test was running, so that no other is blamed."""
    records = Reader().feed(b'{"kind":"begin"}\n[\n')
    assert next(records) == {"kind": "begin"}
    with pytest.raises(ChannelError):
        next(records)


def test_line_without_end_is_refused() -> None:
    with pytest.raises(ChannelError, match="longer than"):
        list(Reader().feed(b"x" * (MAX_LINE_BYTES + 1)))


def test_flood_is_refused() -> None:
    reader = Reader()
    line = b'{"kind":"a","x":"' + b"x" * (1 << 20) + b'"}\n'
    for _ in range(MAX_TOTAL_BYTES // len(line)):
        list(reader.feed(line))
    with pytest.raises(ChannelError, match="bytes of records"):
        list(reader.feed(line))


def test_forked_process_is_silent() -> None:
    """A test that forks and lets both processes run on would otherwise report everything twice."""
    read, write = os.pipe()
    writer = Writer(write)
    writer.send("a")
    pid = os.fork()
    if pid == 0:
        writer.send("b")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    assert os.read(read, 1000) == b'{"kind":"a"}\n'
    os.close(read)


def test_nan_is_not_sent() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        Writer(-1).send("value", value=float("nan"))
