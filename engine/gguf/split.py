"""Models in several files: `name-00001-of-00003.gguf` and its siblings, as llama.cpp's gguf-split writes them.

    split.count           number of files, the same in each
    split.no              0 for the first
    split.tensors.count   tensors of all files together, the same in each

The first file holds the metadata of the model, the others the three keys above; each has tensors of its own. A reader
is given the first file and finds the others beside it. What differs between files of one set is code GGUF-M13.

Source: gguf-split.cpp and llama-model-loader.cpp in llama.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.errors import GgufError
from engine.gguf.cursor import Cursor
from engine.gguf.display import quote
from engine.gguf.metadata import Entry

COUNT, NUMBER, TENSORS = "split.count", "split.no", "split.tensors.count"
_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL)


def siblings(cursor: Cursor, path: Path, entries: Mapping[str, Entry]) -> tuple[Path, ...]:
    """Paths of the other files of a set, in order; none for a model in one file.

    Raises:
        GgufError: M13, this is not the first file of its set, its name does not fit, or a file is missing.
    """
    if COUNT not in entries and NUMBER not in entries:
        return ()
    count, number = _integer(cursor, entries, COUNT), _integer(cursor, entries, NUMBER)
    if number >= count:
        raise _error(cursor, entries[NUMBER], f"{NUMBER} is {number}; must be below {COUNT}, which is {count}")
    if count == 1:
        return ()
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise _error(
            cursor,
            entries[COUNT],
            f"{COUNT} is {count}; the file name does not say which of the {count} files this is",
            f"name it {path.stem}-{number + 1:05}-of-{count:05}.gguf, as its siblings",
        )
    stem = match[1]
    if (int(match[2]), int(match[3])) != (number + 1, count):
        raise _error(
            cursor,
            entries[NUMBER],
            f"the file says that it is {number + 1} of {count}; its name says {int(match[2])} of {int(match[3])}",
            "the set is mixed or was renamed",
        )
    if number:
        first = f"{stem}-00001-of-{count:05}.gguf"
        raise _error(cursor, entries[NUMBER], f"this is number {number + 1} of {count} files", f"open {quote(first)}")
    paths = tuple(path.with_name(f"{stem}-{index + 1:05}-of-{count:05}.gguf") for index in range(1, count))
    for other in paths:
        if not other.is_file():
            raise _error(cursor, entries[COUNT], f"the set is incomplete: {quote(other.name)} is not beside this file")
    return paths


def check_set(shards: Sequence[tuple[Cursor, Mapping[str, Entry], Sequence[str]]]) -> None:
    """Compare the files of one set: cursor, metadata and tensor names of each, in order.

    Raises:
        GgufError: M13, files of different sets, out of order, or with tensors missing or twice.
    """
    first_cursor, first, _ = shards[0]
    total = _integer(first_cursor, first, TENSORS)
    owners: dict[str, int] = {}
    for index, (cursor, entries, names) in enumerate(shards):
        for key, expected in ((COUNT, len(shards)), (NUMBER, index), (TENSORS, total)):
            found = _integer(cursor, entries, key)
            if found != expected:
                problem = f"{key} is {found}; the set needs {expected} here"
                raise _error(cursor, entries[key], problem, "the set is mixed or out of order")
        for key, entry in entries.items():
            if not key.startswith("split.") and key in first and not _equal(entry, first[key]):
                raise _error(cursor, entry, f"{quote(key)} differs from the first file", "the set is mixed")
        for name in names:
            if name in owners:
                problem = f"tensor {quote(name)} is also in file {owners[name] + 1} of the set"
                raise cursor.error("M13", None, problem, "the set is mixed")
            owners[name] = index
    if len(owners) != total:
        problem = f"{TENSORS} is {total}; the {len(shards)} files have {len(owners)} tensors"
        raise _error(first_cursor, first[TENSORS], problem, "the set is incomplete or mixed")


def _integer(cursor: Cursor, entries: Mapping[str, Entry], key: str) -> int:
    entry = entries.get(key)
    if entry is None:
        raise cursor.error("M13", None, f"metadata key {key!r} is missing; every file of a set has it")
    if type(entry.value) is not int or entry.value < 0:
        raise _error(cursor, entry, f"{key} is {entry.label} {entry.value!r}; must be a whole number")
    return entry.value


def _equal(one: Entry, other: Entry) -> bool:
    if isinstance(one.value, np.ndarray) or isinstance(other.value, np.ndarray):
        return np.array_equal(one.value, other.value)
    return one.type is other.type and one.value == other.value


def _error(cursor: Cursor, entry: Entry, problem: str, advice: str = "") -> GgufError:
    return cursor.error("M13", entry.value_offset, problem, advice)
