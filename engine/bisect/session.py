"""A folder with everything that a judgement needs: what both sides and the golden forward had at every place.

    session.json      schema, model, token ids, and of each side its name and its run record
    a/ b/             float32 taps, see `engine.bisect.store`
    golden/           float64 taps of the reference arithmetic on this machine

It can be judged again without the sides: with another margin, or with the golden forward of another machine's folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.bisect.store import Store
from engine.bisect.witness import Precision
from engine.errors import ParityError
from engine.gguf.identity import tensors_sha256
from engine.gguf.reader import GgufFile

SCHEMA = "q4k.bisect/1"
FILE = "session.json"
SIDES = ("a", "b")
GOLDEN = "golden"


@dataclass(frozen=True, slots=True)
class Side:
    """One side as it ran."""

    name: str
    facts: Mapping[str, Any]
    """`Llm.run_facts`."""

    @property
    def precision(self) -> Precision:
        return Precision.of(self.facts)


@dataclass(frozen=True, slots=True)
class Session:
    """A folder and what its session.json says."""

    folder: Path
    model: str
    tensors_sha256: str
    token_ids: tuple[int, ...]
    decode: int
    """How many of the last tokens were fed one by one; the others came as a prompt."""
    sides: Mapping[str, Side]

    def store(self, name: str) -> Store:
        """Taps of 'a', 'b' or 'golden'."""
        return Store(self.folder / name, len(self.token_ids), "f64" if name == GOLDEN else "f32")

    def write(self) -> None:
        """Write session.json, and with it declare the folder complete."""
        fields = {"schema": SCHEMA, **asdict(self), "folder": None}
        (self.folder / FILE).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    def check_model(self, file: GgufFile) -> None:
        """Refuse another model than the one recorded.

        Raises:
            ParityError: the tables of tensors differ.
        """
        if (found := tensors_sha256(file)) != self.tensors_sha256:
            raise ParityError(
                f"{self.folder}: recorded of a model with tensors {self.tensors_sha256[:12]}, {file.path.name} has "
                f"{found[:12]}; give the model it was recorded of, {self.model}"
            )


def open_session(folder: Path) -> Session:
    """A folder that `--save` wrote.

    Raises:
        ParityError: it is none, or is damaged.
    """
    path = folder / FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["schema"] != SCHEMA:
            raise ParityError(f"{path}: schema is {fields['schema']!r}, expected {SCHEMA!r}")
        return Session(
            folder,
            str(fields["model"]),
            str(fields["tensors_sha256"]),
            tuple(int(token) for token in fields["token_ids"]),
            int(fields["decode"]),
            {key: Side(str(fields["sides"][key]["name"]), fields["sides"][key]["facts"]) for key in SIDES},
        )
    except OSError as err:
        raise ParityError(f"{path}: {err.strerror}; expected a folder written by q4k bisect --save") from err
    except (KeyError, TypeError, ValueError) as err:
        raise ParityError(f"{path}: not a session of q4k bisect ({type(err).__name__}: {err}); save it again") from err
