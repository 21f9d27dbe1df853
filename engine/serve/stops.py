"""Text up to the first stop string, wherever the pieces it comes in are cut."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Push pieces, get what may be shown; what could still become a stop string is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        """
        Args:
            stops: none of them empty.
        """
        self._stops = stops
        self._held = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """Text that is certain to come before any stop string; sets `stopped` when one is complete."""
        if self.stopped:
            return ""
        text = self._held + piece
        # The one that is complete first, which does not depend on the cuts.
        found = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was held back and did not become a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of the text that a stop string starts with."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
