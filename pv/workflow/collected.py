"""pytest's collection, or the one of an earlier run if nothing that it could depend on has changed since.

Collecting runs the project's code, so what it gives depends on whatever that code looks at. An earlier collection is
taken only if all of these are the same: every file of the project, every module file that was loaded, the environment
of the child, Python, the machine's name, the settings, the paths asked for, and pv itself.
One with a problem is never kept.
Not seen: data outside the project's folder, the clock, the network, devices. `--no-cache` collects in any case.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pv.bind.collect import collect
from pv.lint.cache import recall, remember
from pv.process.environment import scrubbed
from pv.process.tree import tree_digest
from pv.schema.binding import CollectedTest, Collection
from pv.schema.settings import Settings

_NAME: Final = "collection"
"""Of the cache's file: the key, what is shadowed, what was imported, then one value for each test."""
_FIELDS: Final = tuple(item.name for item in fields(CollectedTest))


def collected(root: Path, settings: Settings, paths: Iterable[str], *, cached: bool) -> Collection:
    """See `pv.bind.collect.collect`."""
    paths = list(paths)
    before = _key(root, settings, paths) if cached else None
    if before is None:
        return collect(root, settings, paths)
    known = recall(root, _NAME)
    if known is not None and next(known, None) == before and (earlier := _restored(known)) is not None:
        return earlier
    found = collect(root, settings, paths)
    if not found.problems and _key(root, settings, paths) == before:
        remember(root, _NAME, chain((before, found.shadowed, found.imported), map(_as_list, found.tests)))
    return found


def _key(root: Path, settings: Settings, paths: list[str]) -> str | None:
    tree = tree_digest(root)
    if tree is None:
        return None
    environment = sorted(scrubbed("", {}).items())
    parts = [tree, str(root), sys.prefix, platform.node(), settings.model_dump(mode="json"), environment, paths]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_unchanged(entry: list[Any]) -> bool:
    path, size, time_ns = entry
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of them
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (size, time_ns)


def _as_list(test: CollectedTest) -> list[Any]:
    return [getattr(test, name) for name in _FIELDS]


def _restored(values: Iterator[Any]) -> Collection | None:
    """The collection, unless a file that it had imported has changed."""
    shadowed, imported = next(values), next(values)
    if not all(map(_is_unchanged, imported)):
        return None
    return Collection(
        tests=tuple(
            # Contracts hold the same node ids and names, and many tests the same path.
            CollectedTest(sys.intern(nodeid), sys.intern(path), line, tuple(map(sys.intern, falsifies)), *rest)
            for nodeid, path, line, falsifies, *rest in values
        ),
        shadowed=tuple((nodeid, line) for nodeid, line in shadowed),
        imported=tuple((path, size, time_ns) for path, size, time_ns in imported),
    )
