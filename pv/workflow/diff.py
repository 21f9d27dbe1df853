"""`pv diff`: two sets of contracts, from files, folders or git, matched by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pv.catalog import NO_CONTRACTS, SUFFIXES, discover
from pv.diff import Demand, demand
from pv.errors import NothingToCheck, UnreadableContract, UsageError
from pv.load import Loaded, load_file, load_text
from pv.process.git import Git, is_ref
from pv.report.diff import ChangeView, ContractView, DiffView
from pv.schema.contract import Contract
from pv.schema.finding import Severity
from pv.schema.settings import Settings


@dataclass(frozen=True, slots=True)
class Versioned:
    """One contract as it stood somewhere."""

    path: str
    contract: Contract


@dataclass(frozen=True, slots=True)
class Side:
    shown: str
    """As the user named it."""
    contracts: dict[str, Versioned]
    unreadable: tuple[Loaded, ...] = ()
    """Files with errors; empty unless they were asked for."""


@dataclass(frozen=True, slots=True)
class Compared:
    path: str
    demand: Demand


@dataclass(frozen=True, slots=True)
class DiffReport:
    old: str
    new: str
    changed: tuple[Compared, ...] = ()
    added: tuple[Versioned, ...] = ()
    removed: tuple[Versioned, ...] = ()
    unchanged: int = field(default=0)

    @property
    def is_enough(self) -> bool:
        """Every version rose as far as its changes ask; a contract that is gone has no version to rise."""
        return not self.removed and all(item.demand.is_met for item in self.changed)


def diff(root: Path, settings: Settings, old: str, new: str | None) -> DiffReport:
    """Compare.

    Args:
        old, new: a file, a folder, `REF:PATH` with a path below the project's root, or `REF` for the contract folders
            of the settings; no `new` means those folders as they are now.
    Raises:
        UsageError: a side does not exist.
        UnreadableContract: a contract has errors, or an id stands twice on one side.
        NothingToCheck: neither side has a contract.
    """
    before = side(root, settings, old)
    after = side(root, settings, new) if new is not None else _today(root, settings)
    if not before.contracts and not after.contracts:
        raise NothingToCheck(f"no contract in {before.shown}, and none in {after.shown}")
    if len(before.contracts) == len(after.contracts) == 1:
        # Two single files are compared whatever their ids.
        ((was, now),) = zip(before.contracts.values(), after.contracts.values(), strict=True)
        pairs = [(was, now)]
        added: list[Versioned] = []
        removed: list[Versioned] = []
    else:
        pairs = [(item, after.contracts[name]) for name, item in before.contracts.items() if name in after.contracts]
        added = [item for name, item in after.contracts.items() if name not in before.contracts]
        removed = [item for name, item in before.contracts.items() if name not in after.contracts]
    compared = [Compared(now.path, demand(was.contract, now.contract)) for was, now in pairs]
    changed = [item for item in compared if item.demand.changes or not item.demand.is_met]
    return DiffReport(
        before.shown, after.shown, tuple(changed), tuple(added), tuple(removed), len(compared) - len(changed)
    )


def side(root: Path, settings: Settings, named: str, *, lenient: bool = False) -> Side:
    """What stands in a file, a folder or a commit.

    Args:
        lenient: files with errors are set aside instead of refused.
    Raises:
        UsageError: there is no such file, folder or commit.
        UnreadableContract: see `diff`.
    """
    if Path(named).exists() and not lenient:
        try:
            files = discover(root, [Path(named)], settings)
        except NothingToCheck:
            files = []
        return _side(named, [load_file(root, path) for path in files], lenient=False)
    ref, colon, path = named.partition(":")
    if not is_ref(ref) or path.startswith(("/", "-")) or ".." in PurePosixPath(path).parts:
        raise UsageError(f"{named!r} is neither a file, nor a folder, nor a git ref")
    git = Git(root)
    try:
        commit = git.commit(ref)
    except UsageError as err:
        raise UsageError(f"{named!r} is neither a file nor a folder here, and {err}") from err
    folders = [path] if colon else list(settings.contracts)
    blobs = {name: blob for folder in folders for name, blob in git.files(commit, folder or ".").items()}
    if colon and not blobs:
        raise UsageError(f"{named!r}: git has no such file or folder in {ref}")
    chosen = {name: blob for name, blob in blobs.items() if name == path or _is_contract(name, settings)}
    texts = dict(git.read(chosen.values()))
    loaded = []
    for name, blob in sorted(chosen.items()):
        text = texts[blob]
        if text is None:
            raise UnreadableContract(f"{ref}:{name}: is missing in git or too large for a contract")
        loaded.append(load_text(text, name))
    return _side(named, loaded, lenient=lenient)


def _today(root: Path, settings: Settings) -> Side:
    try:
        files = discover(root, (), settings)
    except NothingToCheck:
        files = []
    return _side("the working tree", [load_file(root, path) for path in files], lenient=False)


def _side(shown: str, files: Sequence[Loaded], *, lenient: bool) -> Side:
    contracts: dict[str, Versioned] = {}
    unreadable = []
    for loaded in files:
        if loaded.contract is None:
            if not lenient:
                first = next(item for item in loaded.findings if item.severity is Severity.ERROR)
                raise UnreadableContract(f"{shown}: {first.location}: {first.message}; it cannot be compared")
            unreadable.append(loaded)
            continue
        known = contracts.get(loaded.contract.id)
        if known is not None and not lenient:
            raise UnreadableContract(
                f"{shown}: contract id '{loaded.contract.id}' stands in {known.path} and {loaded.path}"
            )
        contracts[loaded.contract.id] = Versioned(loaded.path, loaded.contract)
    return Side(shown, contracts, tuple(unreadable))


def _is_contract(name: str, settings: Settings) -> bool:
    path = PurePosixPath(name)
    others = (f"{folder}/{other}/" for folder in settings.contracts for other in NO_CONTRACTS)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in SUFFIXES and not hidden and not name.startswith(tuple(others))


def view(report: DiffReport) -> DiffView:
    """The report as it is shown, by path."""
    contracts = [_changed(item) for item in report.changed]
    contracts += [
        ContractView(item.contract.id, item.path, "added", "", item.contract.version) for item in report.added
    ]
    contracts += [
        ContractView(item.contract.id, item.path, "removed", item.contract.version, "", is_enough=False)
        for item in report.removed
    ]
    ordered = tuple(sorted(contracts, key=lambda item: (item.path, item.id)))
    return DiffView(report.old, report.new, ordered, report.unchanged)


def _changed(item: Compared) -> ContractView:
    asked = item.demand
    return ContractView(
        id=asked.contract,
        path=item.path,
        status="changed",
        old=asked.old,
        new=asked.new,
        changes=tuple(ChangeView(one.kind.value, one.key, one.old, one.new, one.why) for one in asked.changes),
        needs=asked.needs.value if asked.needs else "",
        example=asked.example,
        is_enough=asked.is_met,
    )
