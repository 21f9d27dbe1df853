"""The discharge blocks of contract files: recomputed, proved to change nothing else, and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pv.atomic import in_parallel, remove_leftovers, write_atomically
from pv.discharge.block import as_discharge, with_block
from pv.errors import EvidenceError, PvError
from pv.load import Loaded, load_text
from pv.schema.contract import Contract, Discharge
from pv.schema.standing import ContractStanding
from pv.schema.store import BlockOrigin
from pv.workflow.standings import Standings


@dataclass(frozen=True, slots=True)
class Block:
    """The recomputed block of one contract file."""

    path: str
    contract: Contract
    wanted: Discharge
    text: bytes | None
    """The whole file with it; None if the file has it already."""


def recomputed(
    root: Path, contracts: Sequence[tuple[Loaded, Contract]], judged: Sequence[ContractStanding]
) -> list[Block]:
    """The recomputed blocks, each proved by reading it back to change nothing else in its file.

    Raises:
        PvError: a file changed while its falsifiers ran, or its block cannot be replaced.
    """
    by_id = {item.contract: item for item in judged}

    def block(item: tuple[Loaded, Contract]) -> Block:
        loaded, contract = item
        wanted = as_discharge(by_id[contract.id])
        return Block(loaded.path, contract, wanted, _with_block(root / loaded.path, loaded.path, contract, wanted))

    return in_parallel(block, contracts)


def _with_block(path: Path, shown: str, contract: Contract, wanted: Discharge) -> bytes | None:
    try:
        text = path.read_bytes()
    except OSError as err:
        raise EvidenceError(f"{shown}: cannot be read: {err.strerror or err}") from err
    current = load_text(text, shown).contract
    if current is None or _claims(current) != _claims(contract):
        raise PvError(f"{shown}: changed while its falsifiers ran; its discharge block was not written")
    if current.discharge == wanted:
        return None
    new = with_block(text, wanted)
    reread = load_text(new, shown).contract
    if reread is None or reread.discharge != wanted or _claims(reread) != _claims(contract):
        raise PvError(
            f"{shown}: its discharge block cannot be replaced without touching the rest of the file; "
            "move `discharge:` to the end of the file, as an ordinary top-level key"
        )
    return new


def is_last(judged: Standings, block: Block) -> bool:
    return judged.blocks.origin(block.contract.id, block.wanted) is BlockOrigin.LAST


def write_blocks(root: Path, blocks: Sequence[Block]) -> list[str]:
    """Paths of the files that had another block."""
    for folder in {(root / block.path).parent for block in blocks}:
        remove_leftovers(folder)
    changed = [(block.path, block.text) for block in blocks if block.text is not None]
    in_parallel(lambda item: write_atomically(root / item[0], item[1]), changed)
    return [path for path, _ in changed]


def _claims(contract: Contract) -> Contract:
    return contract.model_copy(update={"discharge": None})
