"""Which discharge blocks `pv` wrote: the ledger has a line with the digest of each, older than the block itself.

The line comes first, then the file: a run that dies between the two leaves the block that was there before, and that
one has a line as well. A block that no line knows was typed, or written by a pv that kept no such lines.
The digest is of the content: sha256 of canonical JSON, with lists sorted, so that layout and order mean nothing.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from pv.evidence.strict import canonical
from pv.schema.contract import Discharge
from pv.schema.store import BlockOrigin, WrittenBlock


class Blocks:
    """What all ledgers together say about discharge blocks."""

    def __init__(self, written: Iterable[WrittenBlock] = ()) -> None:
        """
        Args:
            written: those of one host in the order of its ledger.
        """
        self._written: dict[str, set[str]] = defaultdict(set)
        last: dict[tuple[str, str], str] = {}
        for item in written:
            self._written[item.contract].add(item.digest)
            last[item.host, item.contract] = item.digest
        self._last = {(contract, digest) for (_, contract), digest in last.items()}

    def origin(self, contract: str, block: Discharge) -> BlockOrigin:
        if contract not in self._written:
            return BlockOrigin.UNRECORDED
        digest = block_digest(block)
        if (contract, digest) in self._last:
            return BlockOrigin.LAST
        return BlockOrigin.EARLIER if digest in self._written[contract] else BlockOrigin.UNKNOWN


def block_digest(block: Discharge) -> str:
    """`sha256:...` of what a block says."""
    said = block.model_dump(mode="json")
    for entry in said["falsifiers"].values():
        entry.update({name: sorted(entry[name]) for name in ("have", "missing", "evidence")})
    return f"sha256:{hashlib.sha256(canonical(said)).hexdigest()}"
