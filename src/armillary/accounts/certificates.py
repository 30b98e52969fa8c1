"""The certificate authority of one installation: its server certificate and short-lived client certificates.

A client certificate names its person in the common name. It can be narrowed to scopes (a job's
certificate), which travel in the subject alternative name as `urn:armillary:scope:…`, so that nothing has to
be looked up to know what it may do.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from armillary.base.clock import Clock
from armillary.base.errors import Unauthorized

_SCOPE_URN = "urn:armillary:scope:"
_JOB_URN = "urn:armillary:job"
_CA_LIFETIME = timedelta(days=3650)
_SERVER_LIFETIME = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=30)
# A guest under emulation can be well behind its host when it first talks to us.
_BACKDATE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class ClientIdentity:
    """Who a client certificate speaks for.

    Empty `scopes` mean no limit; with `is_job` it reaches the VOSpace tree of its owner and nothing else.
    """

    user_name: str
    scopes: frozenset[str]
    is_job: bool
    expires_at: datetime
    job: str = ""
    """which job's it is, where that was said"""
    serial: str = ""
    """in hexadecimal digits"""
    issued_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Marks:
    """By which a certificate is known and ends."""

    serial: str
    expires_at: datetime


def issued_in(pem: bytes) -> Marks:
    """Return the marks of the certificate in a PEM that we issued."""
    certificate = x509.load_pem_x509_certificate(pem)
    return Marks(serial=f"{certificate.serial_number:x}", expires_at=certificate.not_valid_after_utc)


class Authority:
    """The certificate authority kept in a directory.

    Two processes that start at once agree on one authority: the first to link its key into place wins and the
    other reads it. Key files are readable by their owner only.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        """Load the authority in `directory`, or make one."""
        self._directory = directory
        self._clock = clock
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        bundle = directory / "ca.key.pem"
        if not bundle.exists():
            self._create(bundle)
        pem = bundle.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{bundle} does not hold an elliptic curve key")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(pem)
        # What all that we issue says alike is put together once: each job gets a certificate of its own.
        self._blank = (
            x509.CertificateBuilder()
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
        )
        self._until = self._certificate.not_valid_after_utc
        # Checking a signature takes as long as a small request; who reads a thousand files shows one certificate.
        self._read = lru_cache(maxsize=1024)(self._read_anew)
        self.ca_path = directory / "ca.pem"
        if not self.ca_path.exists() or self.ca_path.read_bytes() != self.ca_pem:
            _write(self.ca_path, self.ca_pem, mode=0o644)

    @property
    def ca_pem(self) -> bytes:
        """The certificate that clients must trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def server_certificate(self, hosts: Sequence[str]) -> tuple[Path, Path]:
        """Return the paths of a certificate for `hosts` (names and addresses) and of its key.

        An earlier one is used again unless it names other hosts, ends within 30 days or has another issuer.
        """
        certificate_path = self._directory / "server.pem"
        key_path = self._directory / "server.key.pem"
        names = [_general_name(host) for host in dict.fromkeys(hosts)]
        if not self._still_good(certificate_path, key_path, names):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._sign(
                key.public_key(), "Armillary", _SERVER_LIFETIME, ExtendedKeyUsageOID.SERVER_AUTH, names
            )
            # The key lies in both files: a crash between the two writes leaves a pair that fits together.
            pem = certificate.public_bytes(serialization.Encoding.PEM) + _private(key)
            _write(certificate_path, pem, mode=0o600)
            _write(key_path, pem, mode=0o600)
        return certificate_path, key_path

    def issue_client(
        self,
        user_name: str,
        lifetime: timedelta,
        *,
        scopes: frozenset[str] = frozenset(),
        job: bool = False,
        of: str = "",
    ) -> bytes:
        """Return a new certificate for a person followed by its key, as one PEM.

        `scopes` and `job` narrow what it may do; see `identity_of`; `of` names the job. The key is never kept here.
        """
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(_SCOPE_URN + scope) for scope in sorted(scopes)
        ]
        if job:
            names.append(x509.UniformResourceIdentifier(_JOB_URN))
        if of:
            names.append(x509.UniformResourceIdentifier(f"{_JOB_URN}:{of}"))
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            key.public_key(), user_name, lifetime, ExtendedKeyUsageOID.CLIENT_AUTH, names
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + _private(key)

    def ssh_key(self) -> Ed25519PrivateKey:
        """Return the key that signs ssh certificates; made when it is first asked for."""
        path = self._directory / "ssh-ca.key.pem"
        if not path.exists():
            _write(path, _private(Ed25519PrivateKey.generate()), mode=0o600, keep_existing=True)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} does not hold an Ed25519 key")
        return key

    def identity_of(self, der: bytes) -> ClientIdentity:
        """Return who a client certificate speaks for, and within which limits.

        Raises:
            Unauthorized: it is not ours, not for clients, or out of its dates.
        """
        identity, not_before = self._read(der)
        if not not_before <= self._clock.now() <= identity.expires_at:
            raise Unauthorized(
                "This client certificate has expired.",
                code="certificate_expired",
                facts={"expired_at": identity.expires_at.isoformat()},
                remedy="Get a new one with cadc-get-cert.",
            )
        return identity

    def _read_anew(self, der: bytes) -> tuple[ClientIdentity, datetime]:
        """Return what a certificate says, and from when on; its dates are not looked at."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            certificate.verify_directly_issued_by(self._certificate)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
            raise Unauthorized(
                "This client certificate was not issued here.",
                code="foreign_certificate",
                remedy="Get a new one with cadc-get-cert.",
            ) from error
        if ExtendedKeyUsageOID.CLIENT_AUTH not in usage or len(common_names) != 1:
            raise Unauthorized("This certificate is not for signing in.", code="foreign_certificate")
        urns = _urns(certificate)
        identity = ClientIdentity(
            user_name=str(common_names[0].value),
            scopes=frozenset(urn.removeprefix(_SCOPE_URN) for urn in urns if urn.startswith(_SCOPE_URN)),
            is_job=_JOB_URN in urns,
            job=next((u.removeprefix(_JOB_URN + ":") for u in urns if u.startswith(_JOB_URN + ":")), ""),
            expires_at=certificate.not_valid_after_utc,
            serial=f"{certificate.serial_number:x}",
            issued_at=certificate.not_valid_before_utc + _BACKDATE,
        )
        return identity, certificate.not_valid_before_utc

    def user_of(self, der: bytes) -> str:
        """Return the user name in an unlimited client certificate.

        Raises:
            Unauthorized: as `identity_of`, or the certificate is limited, so that who does not look at the
                limits cannot overstep them.
        """
        identity = self.identity_of(der)
        if identity.scopes or identity.is_job:
            raise Unauthorized("This client certificate is limited.", code="limited_certificate")
        return identity.user_name

    def _create(self, bundle: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock.now()
        # The serial in the name keeps apart the authorities of two installations on one machine.
        name = _name(f"Armillary CA {secrets.token_hex(4)}")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(now + _CA_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM) + _private(key)
        _write(bundle, pem, mode=0o600, keep_existing=True)

    def _sign(
        self,
        public_key: ec.EllipticCurvePublicKey,
        common_name: str,
        lifetime: timedelta,
        usage: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName],
    ) -> x509.Certificate:
        now = self._clock.now()
        builder = (
            self._blank.subject_name(_name(common_name))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(min(now + lifetime, self._until))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _still_good(self, certificate_path: Path, key_path: Path, names: Sequence[x509.GeneralName]) -> bool:
        if not (certificate_path.exists() and key_path.exists()):
            return False
        pem = certificate_path.read_bytes()
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            certificate.verify_directly_issued_by(self._certificate)
            alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        in_time = self._clock.now() + _RENEW_BEFORE < certificate.not_valid_after_utc
        return in_time and list(alternatives) == list(names) and key_path.read_bytes() == pem


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _urns(certificate: x509.Certificate) -> list[str]:
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)
    return []


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, *, mode: int, keep_existing: bool = False) -> None:
    """Put `content` at `path` whole or not at all; with `keep_existing` a file that is there already wins."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        if keep_existing:
            with suppress(FileExistsError):
                os.link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
