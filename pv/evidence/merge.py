"""Bring the stores of several hosts together.

A merge adds nothing of its own: the result is the union of the stores, so that merging twice, or in another order, or
into one of them, gives the same bytes. Ledgers are per host; of two versions of one host's ledger the shorter must be
the beginning of the longer. Half a line at the end of a ledger was never committed, and stays behind.

Everything is read and checked before the first write. Hosts are written one by one, files first, the ledger last; if
a write fails, what it had added for that host is taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pv.atomic import write_atomically
from pv.errors import EvidenceError
from pv.evidence.ledger import Ledger
from pv.evidence.store import Store
from pv.evidence.verify import verify
from pv.schema.store import Merged, Problem


@dataclass(slots=True)
class _Union:
    ledgers: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Host -> whole lines, and the store they come from."""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Host -> path in the store -> bytes, of records and attachments; those that no host accounts for under ''."""


def merge(target: Path, sources: Sequence[Path]) -> Merged:
    """Add every source's runs to the store at `target`, which is made if it is not there.

    Raises:
        EvidenceError: a store is damaged, or two stores tell different stories about one host; nothing was written.
    """
    store = Store(target)
    with store.lock():
        store.sweep()
        union = _Union()
        for folder in sources:
            if not (folder / "ledger").is_dir():
                raise EvidenceError(f"{folder}: is no evidence store: it has no folder ledger/")
            _refuse_damage(folder, verify(folder).problems)
            _add(union, folder)
        _refuse_damage(target, [problem for problem in verify(target).problems if not _is_known(problem, union)])
        _add(union, target)
        before = {host: len(_ledger(target, host)) for host in union.ledgers}
        added = _write(store, union)
    return Merged(
        sources=len(sources),
        records=sum(path.startswith("records/") for path in added),
        attachments=sum(path.startswith("attachments/") for path in added),
        lines=sum(data[before[host] :].count(b"\n") for host, (data, _) in union.ledgers.items()),
        result=verify(target),
    )


def _refuse_damage(folder: Path, problems: Sequence[Problem]) -> None:
    if problems:
        others = f" and {len(problems) - 1} more problems" if len(problems) > 1 else ""
        raise EvidenceError(f"{folder}: {problems[0]}{others}; nothing was merged")


def _is_known(problem: Problem, union: _Union) -> bool:
    """Whether a file that the target cannot explain is explained by a source, as after a merge that was killed."""
    return any(problem.where in files for files in union.files.values())


def _ledger(folder: Path, host: str) -> bytes:
    """The whole lines of one ledger; half a line at the end was never committed."""
    data = _read(folder, host) or b""
    return data[: data.rfind(b"\n") + 1]


def _read(folder: Path, host: str) -> bytes | None:
    try:
        return Ledger(folder, host).path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise EvidenceError(f"{folder}: ledger/{host}.jsonl: cannot be read: {err.strerror or err}") from err


def _add(union: _Union, folder: Path) -> None:
    store = Store(folder)
    for host in store.hosts():
        data = _ledger(folder, host)
        known, origin = union.ledgers.get(host, (b"", ""))
        if not data.startswith(known) and not known.startswith(data):
            raise EvidenceError(
                f"{folder}: ledger/{host}.jsonl tells another story than the one in {origin}, from line "
                f"{_first_difference(data, known)} on; two machines have the same name, or one of them was rewritten"
            )
        if len(data) > len(known) or host not in union.ledgers:
            union.ledgers[host] = (data, str(folder))
    owners = _owners(store)
    for path in (*_files(store.records), *_files(store.attachments)):
        name = f"{path.parent.name}/{path.name}"
        try:
            data = path.read_bytes()
        except OSError as err:
            raise EvidenceError(f"{folder}: {name}: cannot be read: {err.strerror or err}") from err
        for host in owners.get(name, {""}):
            union.files.setdefault(host, {})[name] = data


def _owners(store: Store) -> dict[str, set[str]]:
    """File -> the hosts whose ledger explains it: by a line, or by a run of theirs that was interrupted.

    What a record of another version attached is not known, nor what a run attached that died before its records.
    """
    owners: defaultdict[str, set[str]] = defaultdict(set)
    hosts = set(store.hosts())
    for host in hosts:
        for line in Ledger(store.folder, host).lines():
            if line.entry.get("event") == "result":
                owners[f"records/{store.path_of(str(line.entry['evidence'])).name}"].add(host)
    for path in store.paths():
        with suppress(EvidenceError):
            predicate = store.parse(path).statement.predicate
            for name in (f"records/{path.name}", *(f"attachments/{item.sha256}" for item in predicate.attachments)):
                owners[name].add(predicate.environment.host)
    return {name: named & hosts for name, named in owners.items() if named & hosts}


def _files(folder: Path) -> list[Path]:
    """Without what killed processes left."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if not (path.name.startswith(".") and path.name.endswith(".tmp"))]


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = zip(one.splitlines(), other.splitlines(), strict=False)
    return next(number for number, (a, b) in enumerate(pairs, 1) if a != b)


def _write(store: Store, union: _Union) -> list[str]:
    """The files that were not there before."""
    added: list[str] = []
    for host, (data, _) in sorted(union.ledgers.items()):
        path = Ledger(store.folder, host).path
        new = _missing(store, union.files.get(host, {}))
        try:
            for name, content in new.items():
                write_atomically(store.folder / name, content, exclusive=True)
            if _read(store.folder, host) != data:
                write_atomically(path, data)
        except EvidenceError:
            if _ledger(store.folder, host) != data:
                for name in new:
                    with suppress(OSError):
                        (store.folder / name).unlink()
            raise
        added.extend(new)
    rest = _missing(store, union.files.get("", {}))
    for name, content in rest.items():
        write_atomically(store.folder / name, content, exclusive=True)
    return [*added, *rest]


def _missing(store: Store, files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: files[name] for name in sorted(files) if not (store.folder / name).exists()}
