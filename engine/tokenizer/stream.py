"""Token ids to text, a token at a time: what is emitted is always whole characters.

A byte-level vocabulary writes each byte as one printable character: bytes that are printable in Latin-1 stand for
themselves, the other 68 follow from U+0100 on, in order. SentencePiece has a token such as `<0x0A>` for each byte.
A character of the text may be spread over several tokens, so its bytes are held back until the last of them is there.

Source: bytes_to_unicode in GPT-2's encoder.py; byte pieces in SentencePiece's sentencepiece_model.proto.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable


def _byte_symbols() -> list[str]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


BYTE_SYMBOLS: tuple[str, ...] = tuple(_byte_symbols())
"""The character that stands for each byte."""

_BYTE_OF = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}


def byte_token(byte: int) -> str:
    """The token that stands for a byte in SentencePiece's vocabularies."""
    return f"<0x{byte:02X}>"


def token_bytes(token: str) -> bytes:
    """Bytes that the text of a normal token stands for; a token outside the byte alphabet stands for itself."""
    try:
        return bytes(_BYTE_OF[symbol] for symbol in token)
    except KeyError:
        return token.encode("utf-8", "replace")


class TextStream:
    """Incremental decoder: `push` each id, then `finish`; the parts joined are the text of all ids."""

    def __init__(self, bytes_of: Callable[[int], bytes], *, drop_space: bool = False) -> None:
        """
        Args:
            bytes_of: gives the bytes of one token id; empty for tokens that are not shown.
            drop_space: a space that comes first is no part of the text; the encoder has put it there.
        """
        self._bytes_of = bytes_of
        self._drop_space = drop_space
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Text that became complete with this token; U+FFFD for bytes that can no longer become a character."""
        raw = self._bytes_of(token_id)
        if self._drop_space and raw:
            raw, self._drop_space = raw.removeprefix(b" "), False
        return self._decoder.decode(raw)

    def finish(self) -> str:
        """What was held back: U+FFFD if the ids end inside a character, otherwise nothing."""
        return self._decoder.decode(b"", final=True)
