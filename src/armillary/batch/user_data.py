"""The user data that makes a machine a worker: cloud-init writes one file of ours and starts it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from armillary.base.errors import TooLarge
from armillary.base.ids import CloudName, ServerId, WorkerId
from armillary.batch.agent_archive import agent_source
from armillary.batch.engines.embedded.register import Register
from armillary.batch.model import Group, Resources

LIMIT = 65535
"""Nova's bound on user data, in base64."""
HOST = "armillary.internal"
TEMPLATE_MARK = "armillary_template"
"""Server metadata: the template that the worker may begin from a checkpoint of. Clouds that do not know it ignore it."""
WAITS_AT = "/dev/ttyS1"
_AUTHORITIES = "/usr/local/share/ca-certificates"
AUTHORITY = "armillary-batch"

_UNIT = """\
[Unit]
Description=Armillary worker agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/env python3 /opt/armillary/agent.pyz --config /etc/armillary/agent.json
Restart=on-failure
RestartPreventExitStatus=2 3
RestartSec=5
KillMode=mixed
Delegate=yes
OOMScoreAdjust=-900
NotifyAccess=main
TimeoutStopSec=90

[Install]
WantedBy=multi-user.target
"""

_TRUST = """\
# Into the system's certificate store, by hand where it is Debian's: update-ca-certificates takes half a minute of a
# machine without acceleration, and comes to the same; the copy in {directory} keeps it there when that runs later.
ca={directory}/{name}.crt
if [ -w /etc/ssl/certs/ca-certificates.crt ]; then
  if ! grep -qF "$(sed -n 2p $ca)" /etc/ssl/certs/ca-certificates.crt; then
    cat $ca >> /etc/ssl/certs/ca-certificates.crt
    ln -sf $ca /etc/ssl/certs/{name}.pem
    if command -v openssl >/dev/null; then
      hash=/etc/ssl/certs/$(openssl x509 -noout -subject_hash -in $ca) number=0
      while [ -e $hash.$number ]; do number=$((number + 1)); done
      ln -s {name}.pem $hash.$number
    fi
  fi
elif command -v update-ca-trust >/dev/null; then
  cp $ca /etc/pki/ca-trust/source/anchors/{name}.crt
  update-ca-trust
fi
"""


def trust(name: str) -> str:
    """Return a piece of shell that makes a guest trust the authority whose certificate `authority_file(name)` is."""
    return _TRUST.format(directory=_AUTHORITIES, name=name)


def authority_file(name: str) -> str:
    """Return where a guest keeps an authority's certificate.

    The platform whose cloud the guest is on and the platform whose jobs it does may be two, each with its own.
    """
    return f"{_AUTHORITIES}/{name}.crt"


_START = """\
#!/bin/sh
# Runs once, as the last step of cloud-init.
# A snapshot may have come from a network with another gateway, so what stands there is replaced.
gateway=$(ip -4 route show default | awk '{{print $3; exit}}')
address={address}
if [ -n "$address$gateway" ]; then
  sed -i '/ {host}$/d' /etc/hosts
  echo "${{address:-$gateway}} {host}" >> /etc/hosts
fi
{trust}# One that was woken from a checkpoint has its agent already: it is the agent that runs this.
[ -z "$ARMILLARY_AWAKE" ] || exit 0
systemctl daemon-reload
systemctl enable --now --no-block armillary-agent.service
"""


def template(*, agent: bytes, ca_pem: bytes) -> str:
    """Return user data that make a machine wait to be told which worker it is; nothing in them is secret.

    It makes no host keys of ssh, and ssh is not started: whoever it becomes makes its own.
    """
    keyless = {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": list[str](),
        "bootcmd": [["systemctl", "mask", "--runtime", "--quiet", "ssh.service", "sshd.service"]],
    }
    return build(agent=agent, config={"template": WAITS_AT}, ca_pem=ca_pem, gateway=None, more=keyless)


def template_name(user_data: str) -> str:
    """Return the value of `TEMPLATE_MARK` for workers that a template with these user data may become."""
    return hashlib.sha256(user_data.encode()).hexdigest()[:16]


def build(
    *,
    agent: bytes,
    config: Mapping[str, Any],
    ca_pem: bytes,
    gateway: str | None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Return cloud-init user data.

    It installs nothing and writes a few files, so that the boot takes no longer than without it. `gateway` is the
    address of the platform for the guest when it is not its default gateway; `more` are further keys of the
    cloud-config. Raises TooLarge.
    """
    start = _START.format(host=HOST, trust=trust(AUTHORITY), address=gateway or "")
    files = [
        written("/opt/armillary/agent.pyz", "0644", agent),
        written("/etc/armillary/agent.json", "0600", json.dumps(dict(config)).encode()),
        written(authority_file(AUTHORITY), "0644", ca_pem),
        written("/etc/systemd/system/armillary-agent.service", "0644", _UNIT.encode()),
        written("/opt/armillary/start", "0755", start.encode()),
    ]
    return cloud_config(files, more)


def cloud_config(files: Sequence[Mapping[str, str]], more: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return cloud-init user data that write files, and run the one that is our start.

    Raises:
        TooLarge: base64 of it has more than 65535 bytes.
    """
    document = {
        "package_update": False,
        "package_upgrade": False,
        "write_files": [*files],
        "runcmd": [["sh", "/opt/armillary/start"]],
        **more,
    }
    # JSON is YAML, and needs no library here.
    text = "#cloud-config\n" + json.dumps(document, indent=1)
    size = -(-len(text.encode()) // 3) * 4
    if size > LIMIT:
        raise TooLarge(
            f"the worker's user data has {size} bytes in base64",
            code="user_data_too_large",
            facts={"limit": LIMIT},
        )
    return text


def written(path: str, permissions: str, content: bytes) -> dict[str, str]:
    """Return a file as cloud-init writes it."""
    packed = base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
    return {"path": path, "permissions": permissions, "encoding": "gz+b64", "content": packed}


class CloudInitEnrolment:
    """The `Enrolment` port of the embedded engine: our agent by cloud-init."""

    def __init__(
        self,
        *,
        register: Register,
        guest_url: Callable[[CloudName], str],
        ca_pem: bytes,
        vospace: str,
        agent: Callable[[], bytes] = agent_source,
        gateway: Callable[[CloudName], str | None] = lambda _: None,
        warm: bool = True,
    ) -> None:
        """`warm`: workers may begin from a checkpoint, on clouds that make them."""
        self._register = register
        self._guest_url = guest_url
        self._ca_pem = ca_pem
        self._vospace = vospace
        self._agent = agent
        self._gateway = gateway
        self._warm = warm

    def marks(self) -> Mapping[str, str]:
        if not self._warm:
            return {}
        return {TEMPLATE_MARK: template_name(template(agent=self._agent(), ca_pem=self._ca_pem))}

    def user_data(self, worker: WorkerId, *, group: Group, cloud: CloudName, size: Resources) -> str:
        config = {
            "url": self._guest_url(cloud),
            "bootstrap_token": self._register.invite(worker, group),
            "ca_file": authority_file(AUTHORITY),
            "cloud": cloud,
            "image_sha512": group.image,
            "vospace": self._vospace,
            "cpus": size.cpus,
            "memory_mib": size.memory_mib,
            "disk_kib": size.disk_kib,
        }
        return build(agent=self._agent(), config=config, ca_pem=self._ca_pem, gateway=self._gateway(cloud))

    def expect(self, worker: WorkerId, server: ServerId) -> None:
        self._register.expect(worker, server)
