"""A second verifier of evidence stores: standard library only, written from the description of the format.

    python tests/verifier/verify_evidence.py STORE [HOST=SHA256]...

It shares no code with pv, so that a mistake in one of them shows as a disagreement between the two.
Exit code 0: every byte is accounted for and nothing contradicts itself. 1: something is wrong, one line each. 3: empty.

    records/<sha256>.json, attachments/<sha256>     named by the digest of their bytes
    ledger/<host>.jsonl      prev is the digest of the line before, digest that of the line without its digest
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

PREDICATE = "urn:pv-contracts:evidence:"
RESULTS = {"PASS", "FAIL", "ERROR", "TIMEOUT", "CRASH", "FLAKY", "SKIPPED", "NOT_RUN", "WRONG_TARGET"}
OUTCOMES = {"CAUGHT", "SURVIVED", "BROKEN", "NOT_APPLIED"}
SAYS = {"intent": "planned", "result": "falsifier target result evidence", "end": "results", "block": "contract block"}
TARGET = re.compile(r"cpu|cpu-oracle|cuda|cuda:sm_[0-9]{2,3}|cuda-interpreted|cuda-compiled")
SLUG = re.compile(r"(?=.{1,128}\Z)[a-z0-9]+(?:[-_./][a-z0-9]+)*")
NAME = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9]+(?:[-_./][A-Za-z0-9]+)*")
VERSION = re.compile(r"(?=.{1,64}\Z)(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
SHA = re.compile(r"[0-9a-f]{64}")
BLOCK = re.compile(r"sha256:[0-9a-f]{64}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spell(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def parse(data: bytes) -> object:
    def pairs(items: list) -> dict:
        if len(dict(items)) != len(items):
            raise ValueError("duplicate key")
        return dict(items)

    def number(text: str) -> float:
        if not math.isfinite(float(text)):
            raise ValueError(text)
        return float(text)

    try:
        return json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=number, parse_float=number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


KINDS = {
    "string": lambda value: isinstance(value, str),
    "text": lambda value: isinstance(value, str) and value.strip() != "",
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "positive": lambda value: KINDS["number"](value) and value >= 0,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "count": lambda value: KINDS["integer"](value) and value >= 0,
    "object": lambda value: isinstance(value, dict),
}


def fits(kind: object, value: object) -> bool:
    """A kind is a name, a pattern, a set of words, a list of one kind, alternatives in a tuple, or an object:
    {"*": kind of every value}, or {key: kind}, where a key with ? may be missing."""
    match kind:
        case None:
            return value is None
        case str():
            return KINDS[kind](value)
        case re.Pattern():
            return isinstance(value, str) and kind.fullmatch(value) is not None
        case set():
            return isinstance(value, str) and value in kind
        case [item] if isinstance(kind, list):
            return isinstance(value, list) and all(fits(item, element) for element in value)
        case tuple():
            return any(fits(item, value) for item in kind)
        case {"*": item}:
            return isinstance(value, dict) and all(fits(item, element) for element in value.values())
    keys = {key.rstrip("?"): key for key in kind}
    needed = {key for key in kind if not key.endswith("?")}
    known = isinstance(value, dict) and needed <= value.keys() <= keys.keys()
    return known and all(fits(kind[keys[key]], element) for key, element in value.items())


STATEMENT = {
    "_type": {"https://in-toto.io/Statement/v1"},
    "subject": [{"name": "text", "digest": {"sha256": SHA}}],
    "predicateType": {PREDICATE + "1"},
    "predicate": {
        "run": "text", "started": "text", "duration_s": "positive", "contract": SLUG, "contract_version": VERSION,
        "falsifier": NAME, "target": TARGET, "ran_target": (None, TARGET), "device?": "object", "result": RESULTS,
        "reason": "string", "tests": ["text"], "tests_begun": "count", "tests_passed": "count",
        "values?": [{"name": "text", "value": "number", "unit": "text", "limit?": (None, "number"),
                     "bound?": {"at_most", "at_least"}, "margin?": (None, "number")}],
        "challenges?": [{"fault": "text", "outcome": OUTCOMES, "reason": "string", "duration_s": "positive",
                         "smallest_caught?": (None, "positive")}],
        "attachments?": [{"name": "text", "sha256": SHA, "size_bytes": "count"}],
        "files": {"*": {"*": SHA}},
        "environment": {"host": "text", "system": "text", "machine": "text", "cpu_count": "integer",
                        "versions": {"*": "string"}, "threads?": {"*": "string"}},
        "pv_version": "text",
    },
}  # fmt: skip


class Verifier:
    def __init__(self, store: Path, anchors: dict[str, str]) -> None:
        self.store, self.anchors = store, anchors
        self.problems: list[str] = []
        self.records: dict[str, dict] = {}
        self.foreign, self.named, self.open_runs = set(), set(), set()
        self.lines = 0

    def files(self, folder: str) -> list[Path]:
        found = sorted((self.store / folder).iterdir()) if (self.store / folder).is_dir() else []
        return [path for path in found if not re.fullmatch(r"\..*\.tmp", path.name)]

    def say(self, where: str, what: str) -> None:
        self.problems.append(f"{where}: {what}")

    def run(self) -> list[str]:
        for path in self.files("records"):
            if problem := self.read_record(path):
                self.say(f"records/{path.name}", problem)
        hosts = {path.stem for path in self.files("ledger") if path.suffix == ".jsonl"}
        for host in sorted(hosts | self.anchors.keys()):
            self.read_ledger(host)
        self.judge_records()
        self.check_attachments()
        return self.problems

    def read_record(self, path: Path) -> str:
        data = path.read_bytes() if path.is_file() and path.suffix == ".json" else b""
        if not data or len(data) > 4 << 20 or sha256(data) != path.stem:
            return "its name is not the digest of its bytes"
        try:
            value = parse(data)
        except (ValueError, RecursionError) as err:
            return f"not strict JSON: {err}"
        kind = value.get("predicateType") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind.startswith(PREDICATE) and kind != PREDICATE + "1":
            self.foreign.add(path.stem)
        elif not fits(STATEMENT, value) or not value["subject"]:
            return "not a record of this version"
        else:
            self.records[path.stem] = value
        return ""

    def read_ledger(self, host: str) -> None:
        path = self.store / "ledger" / f"{host}.jsonl"
        *lines, rest = (path.read_bytes() if path.is_file() else b"").split(b"\n")
        if rest and not torn(rest):
            self.say(f"ledger/{host}.jsonl", "the last line has no end")
        previous, seen, planned, left = "0" * 64, set(), {}, {}
        for index, line in enumerate(line + b"\n" for line in lines):
            where = f"ledger/{host}.jsonl:{index + 1}"
            entry = self.ledger_entry(where, line, index, previous)
            previous = sha256(line)
            seen.add(previous)
            if entry is not None:
                self.follow(where, host, entry, planned, left)
        self.lines += len(lines)
        self.open_runs |= left.keys()
        if host in self.anchors and self.anchors[host] not in seen:
            self.say(f"ledger/{host}.jsonl", "the anchored line is gone")

    def ledger_entry(self, where: str, line: bytes, index: int, previous: str) -> dict | None:
        try:
            entry = parse(line)
            fields = {"event", "index", "prev", "digest", "run", "time"} | set(SAYS[entry["event"]].split())
            if entry.keys() - {"cut_bytes"} != fields:
                raise ValueError("fields")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
            return self.say(where, f"not a ledger line: {err}")
        rest = {key: value for key, value in entry.items() if key != "digest"}
        if spell(entry) != line or entry["digest"] != sha256(spell(rest)):
            self.say(where, "its digest is not that of its content")
        elif entry["index"] != index or entry["prev"] != previous:
            self.say(where, "it does not follow from the line before it")
        return entry

    def follow(self, where: str, host: str, entry: dict, planned: dict, left: dict) -> None:
        run = str(entry["run"])
        if entry["event"] == "intent":
            pairs = entry["planned"]
            if not fits([["string"]], pairs) or any(len(pair) != 2 for pair in pairs) or run in left:
                self.say(where, "its plan is malformed or its run is not new")
            else:
                planned[run], left[run] = pairs, {tuple(pair) for pair in pairs}
        elif entry["event"] == "end":
            if run not in left or left[run] or entry["results"] != len(planned[run]):
                self.say(where, "its run has no intent, or has not said every result")
            left.pop(run, None)
        elif entry["event"] == "block":
            named = fits(SLUG, entry["contract"]) and fits(BLOCK, entry["block"])
            if not named or run in left or run not in planned:
                self.say(where, "its run has not ended, or it names no contract and block")
        else:
            pair = (str(entry["falsifier"]), str(entry["target"]))
            if pair not in left.get(run, set()):
                self.say(where, "this result was not planned, or was said before")
            left.get(run, set()).discard(pair)
            self.check_result(where, host, entry)

    def check_result(self, where: str, host: str, entry: dict) -> None:
        prefix, _, digest = str(entry["evidence"]).partition(":")
        if digest in self.named:
            self.say(where, "its record is named twice")
        self.named.add(digest)
        if prefix != "sha256" or digest not in self.records.keys() | self.foreign:
            self.say(where, "its record is missing")
        elif digest in self.records:
            said = self.records[digest]["predicate"]
            same = all(entry[key] == said[key] for key in ("run", "falsifier", "target", "result"))
            if not same or said["environment"]["host"] != host:
                self.say(where, "it contradicts its record")

    def judge_records(self) -> None:
        outcomes: dict[tuple, set] = {}
        latest = datetime.now(UTC) + timedelta(minutes=5)
        for digest, statement in self.records.items():
            where, it = f"records/{digest}.json", statement["predicate"]
            if digest not in self.named:
                if it["run"] not in self.open_runs:
                    self.say(where, "no run has committed it")
                continue
            try:
                if datetime.fromisoformat(it["started"]) > latest:
                    raise ValueError("in the future")
            except (ValueError, TypeError) as err:
                self.say(where, f"started at {it['started']}: {err}")
                continue
            subjects = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
            if subjects != {name: sha256(spell(parts)) for name, parts in it["files"].items()}:
                self.say(where, "its subjects do not follow from its files")
            if it["result"] == "PASS" and not deserves_pass(it):
                self.say(where, "says PASS beside a value, a test or a target that denies it")
            key = (it["contract"], it["falsifier"], it["target"], spell(it["files"]))
            if it["result"] != "PASS" or it["run"] not in self.open_runs:
                outcomes.setdefault(key, set()).add(it["result"])
        for (contract, falsifier, target, _), results in outcomes.items():
            if {"PASS", "FAIL"} <= results:
                self.say(f"{contract} {falsifier} on {target}", "passed and failed with the same inputs")

    def check_attachments(self) -> None:
        counted = self.named & self.records.keys()
        wanted = {item["sha256"] for name in counted for item in self.records[name]["predicate"].get("attachments", [])}
        tolerated = self.open_runs or self.foreign or counted != self.records.keys()
        present = {path.name: path for path in self.files("attachments")}
        self.problems += [f"attachments/{name}: missing" for name in sorted(wanted - present.keys())]
        for name, path in sorted(present.items()):
            if not path.is_file() or sha256(path.read_bytes()) != name:
                self.say(f"attachments/{name}", "its name is not the digest of its bytes")
            elif name not in wanted and not tolerated:
                self.say(f"attachments/{name}", "no record names it")


def deserves_pass(it: dict) -> bool:
    signed = [(-1 if value.get("bound") == "at_least" else 1, value) for value in it.get("values", [])]
    limited = [(sign, value) for sign, value in signed if value.get("limit") is not None]
    within = all(sign * value["value"] <= sign * value["limit"] for sign, value in limited)
    ran, claimed = it["ran_target"], it["target"]
    there = ran in (None, claimed) or (claimed == "cuda" and ran.startswith("cuda:"))
    return within and there and 0 < len(it["tests"]) == it["tests_passed"]


def torn(data: bytes) -> bool:
    """Whether these bytes can be the beginning of a line; a character of UTF-8 may be torn as well."""
    if not data.startswith(b"{") or min(data) < 0x20:
        return False
    try:
        beginning = codecs.getincrementaldecoder("utf-8")().decode(data)
        return json.JSONDecoder().raw_decode(beginning)[1] == len(beginning)
    except ValueError as err:
        return not isinstance(err, UnicodeDecodeError)


def main(arguments: list[str]) -> int:
    verifier = Verifier(Path(arguments[0]), dict(argument.split("=", 1) for argument in arguments[1:]))
    problems = verifier.run()
    seen = len(verifier.files("records"))
    counts = f"{seen} records, {verifier.lines} ledger lines: {len(problems)} problems"
    sys.stdout.write("".join(f"{line}\n" for line in [*problems, counts]))
    return 1 if problems else 0 if seen or verifier.lines else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
