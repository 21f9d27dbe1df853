"""`pv validate` and `pv lint`: read contracts, look at what rules need, run the rules."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pv import __version__
from pv.catalog import Catalog, discover
from pv.config import load_settings
from pv.errors import ConfigError, NothingToCheck, UsageError
from pv.lint.bound import Binding, binding_of
from pv.lint.context import LintContext
from pv.lint.engine import run_rules
from pv.lint.nodeid import file_of, is_node_id, unsafe_path
from pv.lint.registry import RULES, rule_named
from pv.lint.rule import Stage
from pv.load import load_file
from pv.process.pytest_options import project_ini
from pv.report.findings import FindingReport, RuleText, Totals
from pv.schema.binding import Collection
from pv.schema.contract import Contract, Discharge
from pv.schema.finding import Finding, Severity
from pv.schema.settings import Settings

VALIDATE = frozenset({Stage.FILE, Stage.CATALOG})
LINT = frozenset(Stage)

# Test files are shown in excerpts; a generated one of many megabytes is not worth reading for that.
_MAX_SOURCE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckReport:
    findings: tuple[Finding, ...]
    totals: Totals
    catalog: Catalog

    @property
    def has_errors(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def for_reporter(self) -> FindingReport:
        """With the texts that excerpts need and the documentation of rules."""
        return FindingReport(
            findings=self.findings,
            totals=self.totals,
            rules={
                rule.name: RuleText(rule.name, rule.severity, rule.summary, rule.fix, rule.documentation)
                for rule in RULES
            },
            sources=_sources(self.catalog, self.findings),
            version=__version__,
        )


def find_project(paths: Sequence[Path]) -> tuple[Path, Settings]:
    """Root and settings of the project that the paths belong to, wherever the command runs.

    Raises:
        ConfigError: see `load_settings`.
    """
    root, settings = load_settings(Path.cwd())
    if not paths:
        return root, settings
    common = Path(os.path.commonpath([os.path.abspath(path) for path in paths]))  # noqa: PTH100 - keeps links
    own_root, own_settings = load_settings(common if common.is_dir() else common.parent)
    if _is_project(own_root) or not common.is_relative_to(root):
        return own_root, own_settings
    return root, settings


def check(
    root: Path,
    settings: Settings,
    paths: Sequence[Path] = (),
    *,
    stages: Names[Stage] = VALIDATE,
    strict: bool = False,
    select: Names[str] = (),
    ignore: Names[str] = (),
    today: date | None = None,
) -> CheckReport:
    """Run the rules of the given stages.

    With paths below the root the whole project is read, so that ids resolve, and only what concerns the paths is
    reported and counted.

    Args:
        paths: contract files or folders, relative to the working directory; none means the folders of the settings.
        strict: warnings of the binding stage become errors.
        select: names of rules; empty means all.
        ignore: names of rules, besides those of the settings.
    Raises:
        UsageError: a path or a rule does not exist.
        NothingToCheck: there is no contract file.
        ConfigError: pytest's own settings cannot be read.
        RunError: pytest cannot be started.
        EvidenceError: the evidence store cannot be read.
    """
    ignored = {*_known(ignore), *_known_in_settings(settings)}
    chosen = [_below(root, path) for path in discover(root, paths, settings)]
    catalog = _catalog(root, settings, chosen)
    names = {_shown(root, path) for path in chosen}
    day = today or datetime.now(UTC).date()
    discharges, evidence_problem = (
        _discharges(root, settings, catalog, names, day) if Stage.EVIDENCE in stages else (None, "")
    )
    context = LintContext(
        catalog=catalog,
        settings=settings,
        root=root,
        collection=_collection(root, settings, catalog, names, everything=not paths)
        if Stage.BINDING in stages
        else None,
        discharges=discharges,
        evidence_problem=evidence_problem,
        search=tuple(project_ini(root).get("pythonpath", ())) if Stage.BINDING in stages else (),
        today=day,
    )
    found = run_rules(context, stages, strict=strict, select=_known(select), ignore=ignored)
    if paths:
        found = [item for item in found if _concerns(item, names)]
    return CheckReport(tuple(found), _totals(context, names), catalog)


def _catalog(root: Path, settings: Settings, chosen: list[Path]) -> Catalog:
    files = set(chosen)
    if all(path.is_relative_to(root) for path in chosen):
        # The paths may lie outside the folders of the settings, and those may be empty.
        with suppress(NothingToCheck):
            files.update(discover(root, (), settings))
    return Catalog(root, tuple(load_file(root, path) for path in sorted(files)))


def _collection(root: Path, settings: Settings, catalog: Catalog, names: set[str], *, everything: bool) -> Collection:
    """Collect the bound files that exist, and every folder of falsifiers when the whole project is looked at."""
    from pv.bind.collect import collect  # `pv validate` has no use for it and should start fast

    tests = [item.test for loaded, item in catalog.falsifiers() if loaded.path in names]
    files = [file_of(test) for test in tests if is_node_id(test) and unsafe_path(test) is None]
    folders = [folder for folder in settings.falsifiers if (root / folder).is_dir()] if everything else []
    return collect(root, settings, [*folders, *(path for path in dict.fromkeys(files) if (root / path).is_file())])


def _discharges(
    root: Path, settings: Settings, catalog: Catalog, names: set[str], today: date
) -> tuple[Mapping[str, Discharge], str]:
    """Standings of the contracts that have a discharge block to compare them with, and why there are none."""
    from pv.discharge.block import as_discharge
    from pv.workflow.standings import standings

    stored: list[Contract] = []
    for loaded in catalog.by_id.values():
        if loaded.path in names and loaded.contract is not None and loaded.contract.discharge is not None:
            stored.append(loaded.contract)
    if not stored:
        return {}, ""
    try:
        judged = standings(root, settings, stored, today=today)
    except UsageError as err:
        # A model that is too large for this machine is no reason to leave everything else unchecked.
        return {}, str(err)
    return {item.contract: as_discharge(item) for item in judged.contracts}, ""


def _totals(context: LintContext, names: set[str]) -> Totals:
    chosen = [contract for loaded, contract in context.readable if loaded.path in names]
    falsifiers = [falsifier for contract in chosen for falsifier in contract.falsifiers]
    counts = Counter(binding_of(context, item) for item in falsifiers) if context.collection is not None else None
    return Totals(
        contracts=len(chosen),
        obligations=sum(len(contract.obligations) for contract in chosen),
        falsifiers=len(falsifiers),
        unreadable=len(names) - len(chosen),
        bound=None if counts is None else counts[Binding.BOUND],
        unbound=None if counts is None else counts[Binding.UNBOUND],
        dangling=None if counts is None else counts[Binding.DANGLING],
    )


def _concerns(finding: Finding, names: set[str]) -> bool:
    return finding.location.path in names or any(place.path in names for _, place in finding.related)


def _known(names: Iterable[str]) -> list[str]:
    return [rule_named(name).name for name in names]


def _known_in_settings(settings: Settings) -> list[str]:
    try:
        return _known(settings.ignore)
    except UsageError as err:
        raise ConfigError(f"pyproject.toml: [tool.pv] ignore: {err}") from err


def _sources(catalog: Catalog, findings: Iterable[Finding]) -> dict[str, str]:
    texts = {loaded.path: loaded.text for loaded in catalog.loaded}
    for path in {finding.location.path for finding in findings} - set(texts):
        file = catalog.root / path
        try:
            if file.is_file() and file.stat().st_size <= _MAX_SOURCE_BYTES:
                texts[path] = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # the finding is shown without its excerpt
    return texts


def _below(root: Path, path: Path) -> Path:
    """The same file by a path below the root, where a link leads there."""
    if path.is_relative_to(root):
        return path
    resolved = path.resolve()
    return resolved if resolved.is_relative_to(root) else path


def _shown(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / ".git").exists()
