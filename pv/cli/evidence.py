"""`pv evidence`: look into the store, check it, bring stores together, hand evidence to others."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pv.cli.group import SETTINGS

if TYPE_CHECKING:
    from pv.schema.store import Problem

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
    no_args_is_help=True,
    help="Look into the evidence store, check it, bring stores together, hand evidence to others.",
)


class Format(StrEnum):
    FULL = "full"
    JSON = "json"


class ExportFormat(StrEnum):
    TEST_RESULT = "in-toto-test-result"


StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="The evidence store; the project's own by default.")
]
FormatOption = Annotated[Format, typer.Option("--output-format", help="How to print.")]


@app.command("verify")
def verify_command(
    store: StoreOption = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="HOST=SHA256", help="A ledger line that must still be there; repeatable."),
    ] = None,
    anchor_file: Annotated[
        Path | None, typer.Option("--anchor-file", metavar="FILE", help="Anchors, one HOST=SHA256 a line.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Re-hash every file whose digest is cached.")] = False,
    dsse: Annotated[
        Path | None, typer.Option("--dsse", metavar="FILE", help="Check this signed export, not the store.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="PUB", help="The public ed25519 key for --dsse, PEM.")
    ] = None,
    output_format: FormatOption = Format.FULL,
) -> None:
    """Check that the store is what pv wrote, offline; nothing is run.

    Exit code 0: no problem and no conflict. 1: there are some. 3: there is no evidence.
    """
    if (dsse is None) != (key is None):
        from pv.errors import UsageError

        raise UsageError("--dsse FILE and --key PUB belong together")
    if dsse is not None and key is not None:
        _verify_envelope(dsse, key)
        return
    from pv.errors import NothingToCheck
    from pv.evidence.verify import verify
    from pv.report import evidence as report

    anchors = _anchors(anchor or [], anchor_file)
    folder = _folder(store)
    found = verify(folder, anchors=anchors)
    if strict:
        found.problems.extend(_wrong_digests())
    if output_format is Format.JSON:
        print(report.verification_json(found))
    else:
        print(report.verification_text(found, anchored=list(anchors)))
    if not found.is_clean:
        raise typer.Exit(1)
    if not found.records and not found.lines:
        raise NothingToCheck(f"{os.path.relpath(folder)}: holds no evidence; nothing was checked")


@app.command("list")
def list_command(
    contract: Annotated[str | None, typer.Option("--contract", metavar="ID", help="Of this contract.")] = None,
    falsifier: Annotated[str | None, typer.Option("--falsifier", metavar="ID", help="Of this falsifier.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="On this target.")] = None,
    result: Annotated[str | None, typer.Option("--result", help="With this result: PASS, FAIL, ...")] = None,
    store: StoreOption = None,
    output_format: FormatOption = Format.FULL,
) -> None:
    """List evidence records, aborted runs and the discharge blocks that runs wrote, newest first.

    Exit code 3: nothing matches.
    """
    from pv.errors import NothingToCheck
    from pv.evidence.scan import scan
    from pv.report import evidence as report

    found = scan(_folder(store))
    wanted = {"contract": contract, "falsifier": falsifier, "target": target, "result": _result(result)}
    rows = [
        stored
        for stored in found.records.values()
        if all(value in (None, getattr(stored.statement.predicate, name)) for name, value in wanted.items())
    ]
    rows.sort(key=lambda stored: (stored.statement.predicate.started, stored.digest), reverse=True)
    aborted = [
        item
        for item in found.aborted
        if contract is None
        and result is None
        and any(falsifier in (None, pair[0]) and target in (None, pair[1]) for pair in item.planned or ((None, None),))
    ]
    blocks = [item for item in found.blocks if contract in (None, item.contract)]
    if falsifier or target or result:
        blocks = []
    if found.problems:
        print(f"pv: the store has {len(found.problems)} problems; see pv evidence verify", file=sys.stderr)
    total = len(found.records)
    if output_format is Format.JSON:
        print(report.list_json(rows, aborted, blocks, total=total, ignored=found.ignored))
    else:
        print(report.list_text(rows, aborted, blocks, total=total, ignored=len(found.ignored)))
    if not rows and not aborted:
        raise NothingToCheck(f"none of {total} evidence records matches")


@app.command("show")
def show_command(
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="Of a record or a discharge block; its first 4 characters may do.")
    ],
    store: StoreOption = None,
    output_format: FormatOption = Format.FULL,
) -> None:
    """Show one evidence record, or which runs wrote a discharge block."""
    from pv.errors import UsageError
    from pv.evidence.scan import scan
    from pv.evidence.store import Store
    from pv.report import evidence as report

    found = Store(_folder(store))
    prefix = digest.removeprefix("sha256:").removesuffix(".json")
    matching = [path for path in found.paths() if len(prefix) >= 4 and path.stem.startswith(prefix)]
    if not matching and len(prefix) >= 4:
        written = [item for item in scan(found.folder).blocks if item.digest.startswith(f"sha256:{prefix}")]
        if len({item.digest for item in written}) == 1:
            shown = report.block_json if output_format is Format.JSON else report.block_text
            print(shown(written[0].digest, written))
            return
    if len(matching) != 1:
        if len(prefix) < 4:
            problem = "is too short; give at least 4 characters"
        elif matching:
            problem = f"names {len(matching)} records: {', '.join(path.stem for path in matching[:5])}"
        else:
            problem = f"names none of {len(found.paths())} evidence records; see pv evidence list"
        raise UsageError(f"digest {digest!r} {problem}")
    record = found.parse(matching[0])
    print(report.record_json(record) if output_format is Format.JSON else report.record_text(record))


@app.command("merge")
def merge_command(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Evidence stores of other hosts.")],
    store: StoreOption = None,
    output_format: FormatOption = Format.FULL,
) -> None:
    """Add the runs of other stores to this one; the order does not matter.

    Exit code 1: the result holds a PASS and a FAIL for the same inputs. 2: a source is damaged; nothing was written.
    """
    from pv.evidence.merge import merge
    from pv.report import evidence as report

    merged = merge(_folder(store), sources)
    print(report.merge_json(merged) if output_format is Format.JSON else report.merge_text(merged))
    if not merged.result.is_clean:
        raise typer.Exit(1)


@app.command("export")
def export_command(
    digests: Annotated[
        list[str] | None, typer.Argument(metavar="[DIGEST]...", help="Records to export; all by default.")
    ] = None,
    export_format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.TEST_RESULT,
    sign: Annotated[
        Path | None, typer.Option("--sign", metavar="KEY", help="Sign with this ed25519 key (PEM) as a DSSE envelope.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write evidence to stdout as an in-toto test result, for policy engines."""
    from pv.errors import NothingToCheck, UsageError
    from pv.evidence.export import test_result
    from pv.evidence.read import read_evidence
    from pv.evidence.strict import canonical

    del export_format  # there is one
    records = read_evidence(_folder(store)).records
    wanted = {"sha256:" + digest.removeprefix("sha256:") for digest in digests or []}
    unknown = wanted - {stored.digest for stored in records}
    if unknown:
        raise UsageError(f"digest {min(unknown)!r} names no evidence record; see pv evidence list")
    chosen = [stored for stored in records if not wanted or stored.digest in wanted]
    if not chosen:
        raise NothingToCheck("the store holds no evidence; nothing was exported")
    payload = canonical(test_result(chosen))
    if sign is None:
        sys.stdout.write(payload.decode())
        return
    from pv.evidence.sign import as_text
    from pv.evidence.sign import sign as signed

    print(as_text(signed(payload, sign)))


def _verify_envelope(envelope: Path, key: Path) -> None:
    from pv.evidence.sign import SignatureError, opened

    try:
        statement = opened(envelope, key)
    except SignatureError as err:
        print(f"problem   {err}")
        raise typer.Exit(1) from err
    predicate = statement.get("predicate", {})
    said = predicate.get("result", "no result") if isinstance(predicate, dict) else "no result"
    print(f"signed by {key}: {statement.get('predicateType')}, {len(statement.get('subject', []))} subjects, {said}.")


def _wrong_digests() -> list[Problem]:
    from pv.config import load_settings
    from pv.evidence.digests import Digests
    from pv.schema.store import Problem

    root, _ = load_settings(Path.cwd())
    return [
        Problem(".pv-cache/digests.json", f"remembers another digest for {name} than {now}; delete .pv-cache")
        for name, now in Digests(root).wrong()
    ]


def _folder(store: Path | None) -> Path:
    from pv.config import load_settings
    from pv.errors import UsageError

    if store is None:
        root, settings = load_settings(Path.cwd())
        return root / settings.evidence_dir
    if not store.is_dir():
        raise UsageError(f"{store}: no such folder")
    return store


def _anchors(given: list[str], file: Path | None) -> dict[str, str]:
    import re

    from pv.errors import UsageError

    lines = [("--anchor", text) for text in given]
    if file is not None:
        try:
            texts = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as err:
            raise UsageError(f"{file}: cannot be read: {err}") from err
        lines += [(f"{file}:{number}", text) for number, text in enumerate(texts, 1) if text.strip()]
    anchors: dict[str, str] = {}
    for where, text in lines:
        match = re.fullmatch(r"\s*([\w.-]+)=([0-9a-f]{64})\s*", text)
        if match is None:
            raise UsageError(
                f"{where}: {text!r} is not an anchor; expected HOST=SHA256, as pv evidence verify prints it"
            )
        if anchors.setdefault(match[1], match[2]) != match[2]:
            raise UsageError(f"{where}: {match[1]} has two different anchors")
    return anchors


def _result(name: str | None) -> str | None:
    from pv.errors import UsageError
    from pv.schema.verdict import Result
    from pv.suggest import did_you_mean

    if name is not None and name not in Result.__members__:
        raise UsageError(f"--result {name!r} is not a result{did_you_mean(name, list(Result.__members__))}")
    return name
