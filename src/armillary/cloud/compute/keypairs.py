"""Key pairs: they belong to people, not to projects."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import Connection, Engine, func, select

from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound, QuotaExceeded
from armillary.base.ids import PersonId
from armillary.cloud import store
from armillary.cloud.compute.model import Keypair

MAX_KEYPAIRS = 100
_VALID = timedelta(days=3650)
"""of a certificate, as Nova's are"""


class Keypairs:
    """Public keys that new servers may be given."""

    def __init__(self, *, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def page(
        self, person_id: PersonId, *, limit: int | None = None, marker: str | None = None
    ) -> tuple[list[Keypair], bool]:
        """A person's key pairs by name, those after `marker`; and whether there are more.

        Raises:
            Invalid: there is no pair of the marker's name.
        """
        columns = store.keypairs.c
        with self._engine.execution_options(readonly=True).connect() as connection:
            found = store.KEYPAIRS.find(connection, columns.person_id == person_id)
        found.sort(key=lambda pair: pair.name)
        if marker is not None:
            if marker not in {pair.name for pair in found}:
                raise Invalid(f"Marker {marker} could not be found.", code="marker_not_found")
            found = [pair for pair in found if pair.name > marker]
        chosen = found if limit is None else found[:limit]
        return chosen, bool(chosen) and len(chosen) < len(found)

    def get(self, person_id: PersonId, name: str) -> Keypair:
        """One key pair by name."""
        with self._engine.execution_options(readonly=True).connect() as connection:
            return named(connection, person_id, name)

    def create(
        self, person_id: PersonId, *, name: str, public_key: str | None, kind: str = "ssh"
    ) -> tuple[Keypair, str | None]:
        """Keep a public key under a name; without one make a pair, and return its private key this once.

        `kind` is `ssh`, or `x509` for a certificate with which Windows guests are managed.

        Raises:
            Invalid: the text is not an OpenSSH public key, or not a certificate.
            Conflict: the person has a key pair of this name.
        """
        private = None
        if public_key is None:
            public_key, private = _make_pair() if kind == "ssh" else _make_certificate(person_id, self._clock)
        fingerprint = _fingerprint(public_key) if kind == "ssh" else _fingerprint_of_certificate(public_key)
        pair = Keypair(
            person_id=person_id,
            name=name,
            kind=kind,
            public_key=public_key,
            fingerprint=fingerprint,
            created_at=self._clock.now(),
        )
        with self._engine.begin() as connection:
            if store.KEYPAIRS.get(connection, person_id, name) is not None:
                raise Conflict(f"Key pair '{name}' already exists.", code="keypair_exists")
            mine = select(func.count()).where(store.keypairs.c.person_id == person_id)
            if connection.execute(mine).scalar_one() >= MAX_KEYPAIRS:
                raise QuotaExceeded("Quota exceeded, too many key pairs.", facts={"limit": MAX_KEYPAIRS})
            store.KEYPAIRS.add(connection, pair)
        return pair, private

    def delete(self, person_id: PersonId, name: str) -> None:
        """Forget a key pair; servers that have its public key keep it."""
        with self._engine.begin() as connection:
            named(connection, person_id, name)
            columns = store.keypairs.c
            store.KEYPAIRS.remove(connection, columns.person_id == person_id, columns.name == name)


def named(connection: Connection, person_id: PersonId, name: str) -> Keypair:
    """A person's key pair.

    Raises:
        NotFound: in Nova's words.
    """
    pair = store.KEYPAIRS.get(connection, person_id, name)
    if pair is None:
        raise NotFound(f"Keypair {name} not found for user {person_id}", code="keypair_not_found")
    return pair


def _fingerprint_of_certificate(text: str) -> str:
    try:
        digest = x509.load_pem_x509_certificate(text.encode()).fingerprint(hashes.SHA1())  # noqa: S303  Nova's form
    except ValueError as error:
        raise Invalid(
            "Keypair data is invalid: failed to generate X509 fingerprint",
            code="invalid_keypair",
            remedy="Give a certificate in PEM.",
        ) from error
    return digest.hex(":")


def _make_certificate(person_id: PersonId, clock: Clock) -> tuple[str, str]:
    """A certificate that its holder signed, and it with its key as PKCS #12 in base64, as Nova gives it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, person_id[:64])])
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _VALID)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    whole = pkcs12.serialize_key_and_certificates(b"", key, certificate, None, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), base64.b64encode(whole).decode()


def _fingerprint(public_key: str) -> str:
    try:
        serialization.load_ssh_public_key(public_key.strip().encode())
        blob = base64.b64decode(public_key.split()[1])
    except (ValueError, UnsupportedAlgorithm, IndexError) as error:
        raise Invalid(
            "Keypair data is invalid: failed to generate fingerprint",
            code="invalid_keypair",
            remedy="Give the contents of a .pub file, such as ~/.ssh/id_ed25519.pub.",
        ) from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()  # Nova's form of a fingerprint
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _make_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} generated\n", private.decode()
