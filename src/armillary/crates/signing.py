"""Ed25519 signatures (RFC 8032) of documents. A key's id is the SHA-256 of its 32 public bytes."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, StringConstraints

from armillary.base.errors import Invalid
from armillary.crates.canonical import digest

KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class BadKey(Invalid):
    """The bytes are no Ed25519 key in PEM form."""

    code = "bad_key"


class Signature(BaseModel):
    """Who vouches for a document: `value` is the base64 of the signature of the document's canonical bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Literal["Ed25519"] = "Ed25519"
    key: KeyId
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """of the document"""
    value: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]


def key_id(key: Ed25519PublicKey) -> str:
    """Return a public key's name and fingerprint."""
    return digest(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as a text that OpenSSL reads, too."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode("ascii")


def read_public(pem: str | bytes) -> Ed25519PublicKey:
    """Read what `public_pem` wrote. Raises BadKey."""
    data = pem.encode() if isinstance(pem, str) else pem
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("not a public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey("the public key is not an Ed25519 key")
    return key


def sign(document: bytes, *, key: Ed25519PrivateKey) -> Signature:
    """Sign canonical bytes."""
    value = base64.b64encode(key.sign(document)).decode("ascii")
    return Signature(key=key_id(key.public_key()), sha256=digest(document), value=value)


def verifies(document: bytes, signature: Signature, *, key: Ed25519PublicKey) -> bool:
    """Whether `key` signed just these bytes."""
    if signature.key != key_id(key) or signature.sha256 != digest(document):
        return False
    try:
        key.verify(base64.b64decode(signature.value, validate=True), document)
    except (InvalidSignature, binascii.Error):
        return False
    return True
