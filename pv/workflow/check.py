"""`pv validate` and `pv lint`: read contracts, look at what rules need, run the rules."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pv import __version__
from pv.catalog import Catalog, discover, load_questions
from pv.config import load_settings
from pv.errors import ConfigError, NothingToCheck, UsageError
from pv.lint.bound import Binding, binding_of
from pv.lint.context import LintContext
from pv.lint.engine import Outcome, run
from pv.lint.known import Baseline
from pv.lint.nodeid import file_of, is_node_id, unsafe_path
from pv.lint.registry import RULES, may_be_known, rule_named
from pv.lint.rule import Stage
from pv.load import load_file
from pv.process.pytest_options import project_ini
from pv.report.findings import FindingReport, RuleText, Totals
from pv.schema.binding import Collection
from pv.schema.contract import Contract, Discharge
from pv.schema.evidence import Value
from pv.schema.finding import Finding, Severity
from pv.schema.settings import Settings
from pv.schema.standing import FalsifierStanding
from pv.schema.store import BlockOrigin

if TYPE_CHECKING:
    from pv.lint.cache import ContractMemory

VALIDATE = frozenset({Stage.FILE, Stage.CATALOG})
LINT = frozenset(Stage)

# Test files are shown in excerpts; a generated one of many megabytes is not worth reading for that.
_MAX_SOURCE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckReport:
    findings: tuple[Finding, ...]
    totals: Totals
    catalog: Catalog
    outcome: Outcome
    """What was found in the whole project, what is known of it, and what of the known is not there any more."""

    @property
    def has_errors(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def has_lasting_errors(self) -> bool:
        """Errors that no baseline can take in."""
        return any(item.severity is Severity.ERROR and not may_be_known(item) for item in self.findings)

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
    baseline: Baseline | None = None,
    since: str | None = None,
    today: date | None = None,
    cached: bool = False,
) -> CheckReport:
    """Run the rules of the given stages.

    With paths below the root the whole project is read, so that ids resolve, and only what concerns the paths is
    reported and counted.

    Args:
        paths: contract files or folders, relative to the working directory; none means the folders of the settings.
        strict: warnings of the binding stage become errors.
        select: names of rules; empty means all.
        ignore: names of rules, besides those of the settings.
        baseline: findings that are known; for the whole project only.
        since: a git ref; contracts that changed since then must have risen in version.
        cached: use what earlier runs found out about files that are still the same, and keep it for later ones.
    Raises:
        UsageError: a path, a rule or the ref does not exist.
        NothingToCheck: there is no contract file.
        ConfigError: pytest's own settings cannot be read.
        RunError: pytest cannot be started.
        EvidenceError: the evidence store cannot be read.
    """
    ignored = {*_known(ignore), *_known_in_settings(settings)}
    chosen = [_below(root, path) for path in discover(root, paths, settings)]
    catalog = _catalog(root, settings, chosen, _memory(root) if cached else None)
    names = {_shown(root, path) for path in chosen}
    day = today or datetime.now(UTC).date()
    seen = _evidence(root, settings, catalog, names, day) if Stage.EVIDENCE in stages else _Evidence(None)
    context = LintContext(
        catalog=catalog,
        settings=settings,
        root=root,
        questions=load_questions(root, settings),
        collection=_collection(root, settings, catalog, names, everything=not paths, cached=cached)
        if Stage.BINDING in stages
        else None,
        discharges=seen.discharges,
        evidence_problem=seen.problem,
        blocks=seen.blocks,
        measured=seen.measured,
        unregistered=seen.unregistered,
        history_problem=seen.history_problem,
        previous=_previous(root, settings, since) if since is not None else None,
        since=since or "",
        baseline=baseline,
        search=tuple(project_ini(root).get("pythonpath", ())) if Stage.BINDING in stages else (),
        today=day,
    )
    outcome = run(context, stages, strict=strict, select=_known(select), ignore=ignored)
    found, suppressed = outcome.findings, outcome.suppressed
    if context.collection is not None:
        found = _redacted(root, found)
    if paths:
        found = [item for item in found if _concerns(item, names)]
        suppressed = tuple(item for item in suppressed if _concerns(item, names))
    totals = replace(
        _totals(context, names),
        suppressed=len(suppressed),
        baselined=None if baseline is None else len(outcome.baselined),
    )
    return CheckReport(tuple(found), totals, catalog, outcome)


def _redacted(root: Path, findings: Iterable[Finding]) -> list[Finding]:
    """What is said about collected tests was chosen by code that ran: errors of imports, parameters, marks."""
    from pv.evidence.redact import Redactor

    redactor = Redactor(root)
    binding = {rule.name for rule in RULES if rule.stage is Stage.BINDING}
    return [redactor.finding(item) if item.rule in binding else item for item in findings]


def _memory(root: Path) -> ContractMemory:
    from pv.lint.cache import ContractMemory  # `pv validate` has no use for it and should start fast

    return ContractMemory(root)


def _catalog(root: Path, settings: Settings, chosen: list[Path], memory: ContractMemory | None) -> Catalog:
    files = set(chosen)
    if all(path.is_relative_to(root) for path in chosen):
        # The paths may lie outside the folders of the settings, and those may be empty.
        with suppress(NothingToCheck):
            files.update(discover(root, (), settings))
    catalog = Catalog(root, tuple(load_file(root, path, memory) for path in sorted(files)))
    if memory is not None:
        memory.save()
    return catalog


def _collection(
    root: Path, settings: Settings, catalog: Catalog, names: set[str], *, everything: bool, cached: bool
) -> Collection:
    """Collect the bound files that exist, and every folder of falsifiers when the whole project is looked at."""
    from pv.workflow.collected import collected  # `pv validate` has no use for it and should start fast

    tests = [item.test for loaded, item in catalog.falsifiers() if loaded.path in names]
    files = [file_of(test) for test in tests if is_node_id(test) and unsafe_path(test) is None]
    folders = [folder for folder in settings.falsifiers if (root / folder).is_dir()] if everything else []
    paths = [*folders, *(path for path in dict.fromkeys(files) if (root / path).is_file())]
    return collected(root, settings, paths, cached=cached)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What evidence rules look at."""

    discharges: Mapping[str, Discharge] | None
    problem: str = ""
    blocks: Mapping[str, BlockOrigin] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, Sequence[Value]]] = field(default_factory=dict)
    unregistered: Mapping[str, str] | None = None
    history_problem: str = ""


def _evidence(root: Path, settings: Settings, catalog: Catalog, names: set[str], today: date) -> _Evidence:
    """Standings of contracts that have a discharge block or evidence, and which of it is older than its claim."""
    from pv.discharge.block import as_discharge
    from pv.discharge.standing import contract_standing, falsifier_standing
    from pv.evidence.read import read_evidence
    from pv.workflow.history import Registration
    from pv.workflow.standings import facts_of, fingerprints

    chosen = [
        (loaded, loaded.contract)
        for loaded in catalog.by_id.values()
        if loaded.path in names and loaded.contract is not None
    ]
    if not (root / settings.evidence_dir).is_dir() and all(contract.discharge is None for _, contract in chosen):
        return _Evidence({})
    evidence = read_evidence(root / settings.evidence_dir)
    blocks = {
        contract.id: evidence.blocks.origin(contract.id, contract.discharge)
        for _, contract in chosen
        if contract.discharge is not None
    }
    try:
        facts = facts_of(evidence, fingerprints(root, settings))
    except UsageError as err:
        # A model that is too large for this machine is no reason to leave everything else unchecked.
        return _Evidence({}, str(err), blocks)
    history = Registration(root, settings, {contract.id: loaded.path for loaded, contract in chosen})
    discharges: dict[str, Discharge] = {}
    unregistered: dict[str, str] = {}
    measured: dict[str, dict[str, Sequence[Value]]] = {}
    for _, contract in chosen:
        if contract.discharge is None and not any(
            facts.records.get((contract.id, it.id)) for it in contract.falsifiers
        ):
            continue
        judged: dict[str, FalsifierStanding] = {}
        for falsifier in contract.falsifiers:
            records, proofs, _ = facts.of(contract, falsifier)
            judged[falsifier.id] = standing = falsifier_standing(falsifier, proofs)
            if standing.have:
                counted = [item for item in records if item.digest in standing.evidence]
                measured[falsifier.id] = {it.target: it.values for it in (item.statement.predicate for item in counted)}
                if why := next((why for item in counted if (why := history.why_not(item))), ""):
                    unregistered[falsifier.id] = why
        discharges[contract.id] = as_discharge(contract_standing(contract, judged, today=today))
    return _Evidence(discharges, "", blocks, measured, unregistered, history.problem if unregistered else "")


def _previous(root: Path, settings: Settings, since: str) -> dict[str, tuple[str, Contract | None]]:
    """Contracts at a git ref by id; None for those that had errors there."""
    from pv.workflow.diff import side

    then = side(root, settings, since, lenient=True)
    found: dict[str, tuple[str, Contract | None]] = {
        loaded.id: (loaded.path, None) for loaded in then.unreadable if loaded.id is not None
    }
    found.update({name: (item.path, item.contract) for name, item in then.contracts.items()})
    return found


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
    places = {finding.location.path for finding in findings}
    texts = {loaded.path: loaded.text for loaded in catalog.loaded if loaded.path in places}
    for path in places - set(texts):
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
