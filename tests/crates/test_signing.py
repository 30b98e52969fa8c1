"""Ed25519 signatures of documents."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from armillary.crates.canonical import canonical
from armillary.crates.signing import BadKey, key_id, public_pem, read_public, sign, verifies

DOCUMENT = canonical({"format": "x", "n": 1})


def test_a_signature_holds_for_its_document_and_key_alone() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = sign(DOCUMENT, key=key)
    assert verifies(DOCUMENT, signature, key=key.public_key())
    assert not verifies(DOCUMENT.replace(b"1", b"2"), signature, key=key.public_key())
    assert not verifies(DOCUMENT, signature, key=other.public_key())
    forged = signature.model_copy(update={"key": key_id(other.public_key())})
    assert not verifies(DOCUMENT, forged, key=other.public_key())


def test_the_first_vector_of_rfc_8032_is_signed_alike() -> None:
    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert sign(b"", key=key).value.startswith("5VZDAMNgrHKQhuLMgG6CioSHfx64")


def test_a_public_key_is_read_from_its_pem_and_has_its_fingerprint() -> None:
    key = Ed25519PrivateKey.generate().public_key()
    again = read_public(public_pem(key))
    assert key_id(again) == key_id(key)
    assert len(key_id(key)) == 64


def test_other_keys_are_refused() -> None:
    curve = generate_private_key(SECP256R1()).public_key()
    with pytest.raises(BadKey):
        read_public(curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(BadKey):
        read_public("nothing")
