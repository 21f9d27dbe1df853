"""Take out of a text what must not be kept: keys, what this machine's secrets are, who and where somebody is.

A record holds no output of a process and no local variables. What is left is free text that a test chose: the first
line of its failure, names, parameters in node ids, and its device record. Whatever a command prints of a project's code
that ran, kept or not, comes through here as well. It is searched for

    known secrets    values of environment variables with a telling name, of `.env`, and passwords of `~/.netrc`;
                     as they are, URL-encoded, and within base64
    shaped ones      keys of AWS, GitHub, GitLab, Hugging Face, OpenAI, Slack, Google, PyPI; JSON web tokens; private
                     keys; user and password in a URL; `password=`, `token:`, `Bearer` and the like; within base64 too
    whereabouts      absolute paths, the home folder, the names of the user and of the host, IPv4 and MAC addresses,
                     serial numbers; a GPU's UUID becomes a tag

Not promised: a secret that looks like nothing and is known nowhere.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import netrc
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

from pv.schema.finding import Finding
from pv.schema.run import ChallengeRun, Outcome

SECRET: Final = "<secret>"  # noqa: S105 - what stands in its place

_TELLING: Final = re.compile(r"(?i)key|token|secret|passw|pwd|auth|cred|cookie|session|signature|dsn|webhook|private")
_SHAPED: Final = re.compile(
    r"""
    -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[^-]*(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----)?
    | \b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b
    | \b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,})
    | \b(?:hf_|sk-|sk_live_|rk_live_|pypi-|npm_|xox[abeoprs]-|AIza|ya29\.|SG\.)[\w.-]{16,}
    | \beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?
    """,
    re.VERBOSE,
)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s:@]+(?::[^/\s@]*)?@")
# A token is a word of this field too: what follows it is a secret only if it looks like none of ours.
_ASSIGNED: Final = re.compile(
    r"""(?ix)
    ( \b[\w-]*(?:passw(?:or)?d|passwd|secret|credential)s?["']?\s*(?:=|:|\bis\b)\s* )
    ( "[^"]{4,}" | '[^']{4,}' | [^\s"',;)\]}]{4,} )
    |
    ( \b[\w-]*(?:token|(?:api|access|secret|private)[_-]?key)["']?\s*[=:]\s*["']? | \b(?:bearer|basic)\s+ )
    ( (?=[^\s"',;)\]}]*[a-z])(?=[^\s"',;)\]}]*[0-9])[^\s"',;)\]}]{8,} )
    """
)
_GPU: Final = re.compile(r"\b(?:GPU|MIG)-[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_ENCODED: Final = re.compile(r"[\w.~!*'()+-]*(?:%[0-9A-Fa-f]{2}[\w.~!*'()+-]*)+")
_ABSOLUTE: Final = re.compile(r"(?<![\w.:/~>-])(?:/[\w.@+~-]+){2,}/?|(?<!\w)[A-Za-z]:\\[\w\\.@+~-]+")
_ADDRESS: Final = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b")
_ORDINARY_NAMES: Final = frozenset({"root", "user", "runner", "localhost", "admin", "build", "test", "ubuntu"})
_SHORTEST: Final = 6
_LONGEST: Final = 8000
"""Characters of one text that are kept: searching is quadratic in the length of a word, and a record is no log."""


class Redactor:
    """Knows the secrets of this process's environment and of one project."""

    def __init__(self, root: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._root = root.resolve()
        self._environment = environment

    def text(self, text: str) -> str:
        """The text without any of the above; what is too long loses its end."""
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]} ... {len(text) - _LONGEST} characters left out"
        for secret in self._known:
            text = text.replace(secret, SECRET)
        text = _SHAPED.sub(SECRET, text)
        text = _CREDENTIALS.sub(f"{SECRET}@", text)
        text = _ENCODED.sub(self._unless_it_hides(unquote), text)
        text = _BASE64.sub(self._unless_it_hides(_decoded), text)
        text = _ASSIGNED.sub(lambda match: f"{match[1] or match[3]}{SECRET}", text)
        text = _GPU.sub(self._tag, text)
        text = text.replace(f"{self._root}{os.sep}", "")
        text = _ABSOLUTE.sub(lambda match: "<path>/" + re.split(r"[/\\]", match[0].rstrip("/\\"))[-1], text)
        for name, instead in self._names:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text)
        return _ADDRESS.sub("<address>", text)

    def value(self, value: Any) -> Any:
        """The same for every text inside JSON values, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): SECRET if "serial" in str(key).lower() else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _tag(self, match: re.Match[str]) -> str:
        """The same device gives the same tag in one project, and another one elsewhere."""
        return "gpu-" + hashlib.sha256(f"{self._root.name}\0{match[0]}".encode()).hexdigest()[:12]

    def outcome(self, outcome: Outcome) -> Outcome:
        """An outcome as it may be kept and shown; attached bytes are the test's own choice and stay."""
        return replace(
            outcome,
            job=replace(outcome.job, nodeids=tuple(map(self.text, outcome.job.nodeids))),
            reason=self.text(outcome.reason),
            detail=self.text(outcome.detail),
            device=self.value(outcome.device),
            values=tuple(
                replace(item, name=self.text(item.name), unit=self.text(item.unit)) for item in outcome.values
            ),
            attachments=tuple(replace(item, name=self.text(item.name)) for item in outcome.attachments),
        )

    def challenge(self, run: ChallengeRun) -> ChallengeRun:
        return replace(run, reason=self.text(run.reason))

    def finding(self, finding: Finding) -> Finding:
        """A finding about collected tests, as it may be shown."""
        return replace(
            finding,
            message=self.text(finding.message),
            subject=self.text(finding.subject),
            fix=self.text(finding.fix),
            related=tuple((self.text(note), place) for note, place in finding.related),
        )

    def _unless_it_hides(self, decode: Any) -> Any:
        def cleared(match: re.Match[str]) -> str:
            clear = decode(match[0])
            hides = _SHAPED.search(clear) or _CREDENTIALS.search(clear) or _ASSIGNED.search(clear)
            return SECRET if hides or any(secret in clear for secret in self._known) else match[0]

        return cleared

    @cached_property
    def _known(self) -> list[str]:
        """Longest first, so that a part does not hide the whole."""
        plain = {
            secret for secret in (*self._from_environment(), *self._from_files()) if len(secret.strip()) >= _SHORTEST
        }
        forms = {
            form
            for secret in plain
            for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1])
        }
        return sorted(forms, key=len, reverse=True)

    def _from_environment(self) -> Iterator[str]:
        for name, value in self._environment.items():
            if _TELLING.search(name) and not value.startswith(("/", "~")):
                yield value

    def _from_files(self) -> Iterator[str]:
        for path in (self._root / ".env", self._root / ".env.local"):
            with suppress(OSError, UnicodeDecodeError):
                yield from _assigned(path.read_text(encoding="utf-8").splitlines())
        with suppress(OSError, netrc.NetrcParseError, UnicodeDecodeError):
            path = Path(self._environment.get("HOME", "~")).expanduser() / ".netrc"
            for login, account, password in netrc.netrc(str(path)).hosts.values():
                yield from (part for part in (login, account, password) if part)

    @cached_property
    def _names(self) -> list[tuple[str, str]]:
        found = {(self._environment.get("HOME", ""), "<home>")}
        with suppress(OSError, KeyError, ImportError):
            found.add((getpass.getuser(), "<user>"))
        found |= {(self._environment.get(name, ""), "<user>") for name in ("USER", "LOGNAME", "SUDO_USER")}
        host = socket.gethostname()
        found |= {
            (host, "<host>"),
            (host.partition(".")[0], "<host>"),
            (self._environment.get("HOSTNAME", ""), "<host>"),
        }
        kept = {item for item in found if len(item[0]) >= 3 and item[0] not in _ORDINARY_NAMES and item[0] != "/"}
        return sorted(kept, key=lambda item: -len(item[0]))


def _assigned(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and not name.lstrip().startswith("#"):
            yield value.strip().strip("'\"")


def _decoded(text: str) -> str:
    """What the text means as base64, of either alphabet, at whatever place a group of four begins; else nothing."""
    found = []
    for start in range(4):
        body = text[start:].rstrip("=").translate(str.maketrans("-_", "+/"))
        with suppress(binascii.Error, ValueError):
            found.append(base64.b64decode(body[: len(body) - len(body) % 4]).decode("latin-1"))
    return "\0".join(found)
