"""What lets the portal into a machine: short-lived ssh certificates, and the script that makes machines accept them.

The script runs once in each new machine: as vendor data of the embedded clouds, and as a part of the user data of machines
that the portal launches elsewhere. A certificate opens the one machine whose id it names, and no key of a person is used.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.base.clock import Clock
from armillary.base.ids import ServerId

if TYPE_CHECKING:
    from asyncssh import SSHKey
    from asyncssh.public_key import SSHOpenSSHCertificate

LIFETIME = timedelta(minutes=10)
_BACKDATE = timedelta(hours=1)
"""A machine under emulation can be well behind us when it is young."""
MARK = "armillary-portal"
"""The comment of our line in `authorized_keys`."""


class ShellAuthority:
    """Signs certificates with the platform's ssh key. asyncssh is loaded when the first is wanted."""

    def __init__(self, *, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    @property
    def public_line(self) -> str:
        """The public key, as `KIND BASE64`."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return public.decode("ascii")

    def credential(self, server_id: ServerId, *, who: str) -> tuple[SSHKey, SSHOpenSSHCertificate]:
        """Return a new key and a certificate that opens that machine; neither is kept, and `who` stands in the machine's log."""
        import asyncssh

        now = self._clock.now()
        key = asyncssh.import_private_key(_private(Ed25519PrivateKey.generate()))
        certificate = asyncssh.import_private_key(_private(self._key)).generate_user_certificate(
            key,
            f"armillary portal for {who}",
            principals=[server_id],
            valid_after=now - _BACKDATE,
            valid_before=now + LIFETIME,
            permit_x11_forwarding=False,
            permit_agent_forwarding=False,
            permit_user_rc=False,
        )
        return key, certificate

    def welcome(self) -> str:
        """Return the shell script for machines, without its first line: it asks for nothing but cloud-init and an sshd."""
        return f"""\
# Lets the platform's portal in as the first user, with certificates for this machine alone, until the line is taken
# out of ~/.ssh/authorized_keys; and shows on the console which host keys are this machine's.
server=$(cloud-init query instance_id 2> /dev/null) || server=""
user=$(getent passwd 1000 | cut -d: -f1)
home=$(getent passwd 1000 | cut -d: -f6)
if [ -n "$server" ] && [ -n "$user" ] && [ -d "$home" ]; then
    group=$(id -g "$user")
    install -d -m 700 -o "$user" -g "$group" "$home/.ssh"
    keys="$home/.ssh/authorized_keys"
    touch "$keys"
    # a snapshot has brought the line of the machine that it was taken of
    sed -i '/ {MARK}$/d' "$keys"
    echo 'cert-authority,principals="'"$server"'" {self.public_line} {MARK}' >> "$keys"
    chown "$user:$group" "$keys"
    chmod 600 "$keys"
fi
{{
    echo '-----BEGIN SSH HOST KEY KEYS-----'
    cat /etc/ssh/ssh_host_*_key.pub || true
    echo '-----END SSH HOST KEY KEYS-----'
}} > /dev/console || true
"""


def _private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
