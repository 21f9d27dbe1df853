"""Signed statements: DSSE envelopes with an ed25519 key in a PEM file, through securesystemslib.

Signing covers the payload's bytes, not an object that was parsed from them. Verification needs the public key and
nothing else: no network, no log.
Source: https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pv.errors import UsageError
from pv.evidence.export import PAYLOAD_TYPE
from pv.evidence.strict import strict_json
from pv.schema.evidence import STATEMENT_TYPE

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

_LIMIT_BYTES = 64 << 20
_HOW_TO_MAKE = "make one with `openssl genpkey -algorithm ed25519`"


class SignatureError(ValueError):
    """An envelope that nobody whose key was given has signed, or that is no envelope."""


def sign(payload: bytes, key: Path) -> dict[str, Any]:
    """The envelope as JSON values.

    Args:
        key: a private ed25519 key, PEM PKCS#8, without passphrase.
    Raises:
        UsageError: the key cannot be used, or securesystemslib is not installed.
    """
    signer = _private_key(key)
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    made: dict[str, Any] = envelope.to_dict()
    return made


def opened(envelope: Path, key: Path) -> dict[str, Any]:
    """The statement in a signed file.

    Args:
        key: the public ed25519 key, PEM.
    Raises:
        SignatureError: the signature is not by this key, or what it covers is no in-toto statement.
        UsageError: a file cannot be read or the key not used, or securesystemslib is not installed.
    """
    public = _public_key(key)
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError

    try:
        fields = strict_json(_read(envelope))
        if not isinstance(fields, dict) or fields.keys() != {"payload", "payloadType", "signatures"}:
            raise SignatureError(f"{envelope}: is not a DSSE envelope")
        if not isinstance(fields["signatures"], list) or len(fields["signatures"]) != 1:
            raise SignatureError(f"{envelope}: expected one signature")
        # The key decides, not the name that the envelope gives to it.
        named, signature = fields["signatures"][0]["keyid"], fields["signatures"][0]["sig"]
        fields["signatures"][0] = {"keyid": public.keyid, "sig": signature}
        parsed = Envelope.from_dict(fields)
        parsed.verify([public], 1)
        # What the signature does not cover: that name, and the bits at the end of base64 that mean nothing.
        if named != public.keyid or not all(map(_is_base64, (signature, fields["payload"]))):
            raise SignatureError(f"{envelope}: was changed after it was signed by {key}")
        if parsed.payload_type != PAYLOAD_TYPE:
            raise SignatureError(f"{envelope}: holds {parsed.payload_type!r}; expected {PAYLOAD_TYPE}")
        statement = strict_json(parsed.payload)
    except VerificationError as err:
        raise SignatureError(f"{envelope}: is not signed by {key}") from err
    except SignatureError:
        raise
    except (FormatError, ValueError, TypeError, KeyError, AttributeError) as err:
        raise SignatureError(f"{envelope}: is not a DSSE envelope: {err}") from err
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise SignatureError(f"{envelope}: what is signed is not an in-toto statement v1")
    return statement


def _is_base64(text: str) -> bool:
    """Whether it is the one spelling of its bytes."""
    return base64.b64encode(base64.b64decode(text)).decode() == text


def as_text(envelope: dict[str, Any]) -> str:
    return json.dumps(envelope, sort_keys=True)


def _private_key(path: Path) -> CryptoSigner:
    _need_library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        key = load_pem_private_key(_read(path), password=None)
    except TypeError as err:
        raise UsageError(f"{path}: is encrypted; give a key file without passphrase, kept by the CI's secrets") from err
    except ValueError as err:
        raise UsageError(f"{path}: is not a private key in PEM PKCS#8; {_HOW_TO_MAKE}") from err
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: is not an ed25519 key; {_HOW_TO_MAKE}")
    return CryptoSigner(key)


def _public_key(path: Path) -> SSlibKey:
    _need_library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        key = load_pem_public_key(_read(path))
    except ValueError as err:
        raise UsageError(f"{path}: is not a public key in PEM; take `openssl pkey -in KEY -pubout`") from err
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: is not an ed25519 key; {_HOW_TO_MAKE}")
    return SSlibKey.from_crypto(key)


def _need_library() -> None:
    try:
        import cryptography
        import securesystemslib  # noqa: F401
    except ImportError as err:
        raise UsageError("signatures need securesystemslib; pip install 'pv-contracts[sign]'") from err
    del cryptography


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT_BYTES + 1)
    except OSError as err:
        raise UsageError(f"{path}: cannot be read: {err.strerror or err}") from err
    if len(data) > _LIMIT_BYTES:
        raise UsageError(f"{path}: is larger than {_LIMIT_BYTES} bytes")
    return data
