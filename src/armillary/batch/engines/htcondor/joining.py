"""The user data that makes a machine part of an HTCondor pool: its configuration, and a token that is good for that only."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from armillary.base.ids import CloudName, ServerId, WorkerId
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.engines.htcondor.translate import FLAVOR, IMAGE, PLATFORM, PROJECT, WORKER
from armillary.batch.model import Group, Resources

FOLDER = "/etc/condor"

_CONFIG = """\
CONDOR_HOST = {host}
COLLECTOR_HOST = {collector}
TRUST_DOMAIN = {domain}
DAEMON_LIST = MASTER, STARTD
# Nobody outside can open a connection to this machine: the collector asks it to open them itself.
CCB_ADDRESS = $(COLLECTOR_HOST)
ENABLE_IPV6 = False
STARTD_NAME = {worker}
{platform_name} = "{platform}"
{worker_name} = "{worker}"
{image_name} = "{group.image}"
{project_name} = "{group.project}"
{flavor_name} = "{group.flavor}"
STARTD_ATTRS = $(STARTD_ATTRS) {platform_name} {worker_name} {image_name} {project_name} {flavor_name}
# Its own kind of jobs only, whoever sends them.
START = TARGET.{image_name} =?= "{group.image}" && TARGET.{project_name} =?= "{group.project}" && TARGET.{flavor_name} =?= "{group.flavor}"
SUSPEND = False
PREEMPT = False
KILL = False
WANT_SUSPEND = False
NUM_CPUS = {size.cpus}
MEMORY = {size.memory_mib}
NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
MODIFY_REQUEST_EXPR_REQUESTMEMORY = RequestMemory
MODIFY_REQUEST_EXPR_REQUESTDISK = RequestDisk
UPDATE_INTERVAL = {update}
MASTER_UPDATE_INTERVAL = {update}
use SECURITY : user_based
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS, FS
SEC_CLIENT_AUTHENTICATION = REQUIRED
SEC_CLIENT_AUTHENTICATION_METHODS = IDTOKENS, FS
SEC_DEFAULT_ENCRYPTION = REQUIRED
SEC_DEFAULT_INTEGRITY = REQUIRED
SEC_TOKEN_DIRECTORY = {folder}/tokens.d
# It takes orders from nobody. Which jobs it gets is the schedd's affair, and its end is its cloud's.
ALLOW_ADMINISTRATOR = condor@family
"""

_START = """\
#!/bin/sh
# Runs once, as the last step of cloud-init. HTCondor waits a minute for a name service that does not know this machine.
grep -q "^127.0.1.1 $(hostname)" /etc/hosts || echo "127.0.1.1 $(hostname)" >> /etc/hosts
cat /opt/armillary/hosts >> /etc/hosts
if ! command -v condor_master >/dev/null && ! [ -x /usr/sbin/condor_master ]; then
  # The image does not bring it. It must not start before it is configured, and Debian calls it by two names.
  if command -v apt-get >/dev/null; then
    ln -sf /dev/null /etc/systemd/system/condor.service
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    for name in htcondor condor; do
      apt-get install -y -q --no-install-recommends $name && break
    done
    rm -f /etc/systemd/system/condor.service
  else
    dnf install -y condor
  fi
fi
mkdir -p /etc/condor/config.d
chmod 700 /etc/condor/tokens.d
cp /opt/armillary/condor.conf /etc/condor/config.d/99-armillary
systemctl daemon-reload
systemctl enable condor.service
systemctl restart --no-block condor.service
"""


@dataclass(frozen=True, kw_only=True)
class PoolTerms:
    """What a machine must know of the pool."""

    collector: str
    """`host:port`, as machines of the clouds reach it"""
    trust_domain: str
    platform: str
    """marks our machines and jobs"""
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    """addresses by name, for machines without a name service that knows the pool"""
    update: timedelta = timedelta(seconds=30)
    """how often a machine says that it is there"""


def worker_config(
    worker: WorkerId, *, group: Group, size: Resources, terms: PoolTerms, folder: str = FOLDER
) -> str:
    """Return the configuration of HTCondor on a worker, whose token is in `folder`."""
    return _CONFIG.format(
        host=terms.collector.rpartition(":")[0] or terms.collector,
        collector=terms.collector,
        domain=terms.trust_domain,
        worker=worker,
        group=group,
        size=size,
        platform=terms.platform,
        platform_name=PLATFORM,
        worker_name=WORKER,
        image_name=IMAGE,
        project_name=PROJECT,
        flavor_name=FLAVOR,
        update=int(terms.update.total_seconds()),
        folder=folder,
    )


class CondorEnrolment:
    """The `Enrolment` port of this engine: HTCondor by cloud-init."""

    def __init__(self, *, register: Register, secrets: Secrets, terms: PoolTerms) -> None:
        self._register = register
        self._secrets = secrets
        self._terms = terms

    def user_data(self, worker: WorkerId, *, group: Group, cloud: CloudName, size: Resources) -> str:
        self._register.invite(worker, group)  # its token is not used: the pool's own lets the machine in
        config = worker_config(worker, group=group, size=size, terms=self._terms)
        hosts = "".join(f"{address} {name}\n" for name, address in self._terms.hosts.items())
        files = [
            _file(f"{FOLDER}/tokens.d/armillary", "0600", self._secrets.join(worker).encode()),
            _file("/opt/armillary/hosts", "0644", hosts.encode()),
            _file("/opt/armillary/condor.conf", "0644", config.encode()),
            _file("/opt/armillary/start", "0755", _START.encode()),
        ]
        document = {
            "package_update": False,
            "package_upgrade": False,
            "write_files": files,
            "runcmd": [["sh", "/opt/armillary/start"]],
        }
        return "#cloud-config\n" + json.dumps(document, indent=1)  # JSON is YAML

    def marks(self) -> Mapping[str, str]:
        return {}

    def expect(self, worker: WorkerId, server: ServerId) -> None:
        """Nothing: the machine's token has its name, and the pool lets nobody else use it."""


def _file(path: str, permissions: str, content: bytes) -> dict[str, str]:
    return {
        "path": path,
        "permissions": permissions,
        "encoding": "b64",
        "content": base64.b64encode(content).decode("ascii"),
    }
