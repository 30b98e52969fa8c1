"""What every machine of an embedded cloud is told beside its user data: how to reach the platform, and to trust it.

Delivered as Nova's static vendor data, as an operator of a real cloud would. It runs in cloud-init's last stage, after ssh
answers, so that it does not lengthen the wait for a login.
"""

from __future__ import annotations

from armillary.batch.user_data import authority_file, trust


def vendor_data(*, host: str, https_port: int, ca_pem: bytes, welcome: str = "") -> str:
    """Return a shell script for cloud-init's vendor scripts.

    Args:
        host: our name inside machines; it stands for the machine's gateway.
        https_port: where we answer with TLS.
        ca_pem: our authority, for the system's certificate store.
        welcome: what lets the portal's shell in, a script without its first line.
    """
    return f"""#!/bin/sh
# Makes the platform known to this machine: its name, its certificate authority, and where VOSpace clients find it.
{welcome}set -eu
gateway=$(ip -4 route show default | awk '{{print $3; exit}}')
grep -q ' {host}$' /etc/hosts || echo "$gateway {host}" >> /etc/hosts
echo 'export VOSPACE_WEBSERVICE={host}:{https_port}' > /etc/profile.d/armillary.sh
cat > {authority_file("armillary")} <<'PEM'
{ca_pem.decode("ascii").strip()}
PEM
{trust("armillary")}"""
