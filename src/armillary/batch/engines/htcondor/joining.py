"""The user data that makes a machine part of an HTCondor pool: its configuration, and a token that is good for that only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from armillary.base.ids import CloudName, ServerId, WorkerId
from armillary.batch.agent_archive import beside_source
from armillary.batch.engines.embedded.register import Register
from armillary.batch.engines.htcondor.secrets import Secrets
from armillary.batch.engines.htcondor.translate import (
    FLAVOR,
    IMAGE,
    NO_PROGRAM,
    NOT_READY,
    PLATFORM,
    PROJECT,
    WORKER,
)
from armillary.batch.model import Group, Resources
from armillary.batch.user_data import AUTHORITY, HOST, authority_file, cloud_config, trust, written
from armillary.guest.agent.privacy import METADATA
from armillary.guest.agent.slots import FIRST, LAST

FOLDER = "/etc/condor"
_USER = "armillary-job"

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
# Each job that runs at once has a user of its own, so that it reads nobody else's files.
STARTER_ALLOW_RUNAS_OWNER = False
DEDICATED_EXECUTE_ACCOUNT_REGEXP = {user}[0-9]+
{users}USER_JOB_WRAPPER = /opt/armillary/wrap
# It takes orders from nobody. Which jobs it gets is the schedd's affair, and its end is its cloud's.
ALLOW_ADMINISTRATOR = condor@family
"""

_START = """\
#!/bin/sh
# Runs once, as the last step of cloud-init. HTCondor waits a minute for a name service that does not know this machine.
grep -q "^127.0.1.1 $(hostname)" /etc/hosts || echo "127.0.1.1 $(hostname)" >> /etc/hosts
cat /opt/armillary/hosts >> /etc/hosts
{reach}{join}for number in $(seq {jobs}); do
  id "{user}$number" >/dev/null 2>&1 ||
    useradd --uid $(({first} + number)) --user-group --no-create-home --home-dir /nonexistent \\
      --shell /usr/sbin/nologin --comment "Armillary job" "{user}$number"
done
# Jobs must not ask the cloud who the machine is: its token is in what the cloud tells.
if command -v ip >/dev/null; then
  ip rule add to {metadata} uidrange {first}-{last} priority 100 prohibit || true
fi
for place in /var/lib/cloud/instances/*/user-data.txt* /run/cloud-init/instance-data*.json; do
  [ ! -e "$place" ] || chmod go= "$place"
done
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


_TOKENS = f"{FOLDER}/tokens.d"
_TOKEN = f"{_TOKENS}/armillary"
_JOIN = f"""\
# Its token of the pool is for a machine that shows what it is made of, and is not in what its cloud tells.
mkdir -p {_TOKENS}
python3 /opt/armillary/beside.pyz join /opt/armillary/join.json {_TOKEN} || exit 1
"""

_REACH = """\
gateway=$(ip -4 route show default | awk '{{print $3; exit}}')
address={address}
if [ -n "$address$gateway" ]; then
  echo "${{address:-$gateway}} {host}" >> /etc/hosts
fi
{trust}"""

_WRAP = """\
#!/bin/sh
# HTCondor runs each job by this, as its user. What comes with a key of the platform acts in its owner's name.
if ! command -v "$1" >/dev/null; then
  kill -NO_PROGRAM $$
fi
[ -e "$_CONDOR_SCRATCH_DIR/.armillary-key" ] || exec "$@"
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
if ! python3 /opt/armillary/beside.pyz prepare /opt/armillary/platform.json </dev/null >/dev/null 2>&1; then
  kill -NOT_READY $$
fi
. "$_CONDOR_SCRATCH_DIR/.armillary/variables"
# No child of the job's: it may wait for all of its own.
(python3 /opt/armillary/beside.pyz attend /opt/armillary/platform.json $$ </dev/null >/dev/null 2>&1 &)
exec "$@"
""".replace("NO_PROGRAM", str(NO_PROGRAM)).replace("NOT_READY", str(NOT_READY))


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How machines of a cloud reach the platform itself."""

    url: str
    ca_pem: bytes | None
    gateway: str | None = None
    """the platform's address, when it is not the machine's default gateway; empty: its name is known there"""


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
        user=_USER,
        users="".join(f"SLOT1_{n}_USER = {_USER}{n}\n" for n in range(1, _jobs(size) + 1)),
    )


class CondorEnrolment:
    """The `Enrolment` port of this engine: HTCondor by cloud-init."""

    def __init__(
        self,
        *,
        register: Register,
        secrets: Secrets,
        terms: PoolTerms,
        reach: Callable[[CloudName], Reach] | None = None,
    ) -> None:
        """Without `reach` jobs act for nobody."""
        self._register = register
        self._secrets = secrets
        self._terms = terms
        self._reach = reach

    def user_data(self, worker: WorkerId, *, group: Group, cloud: CloudName, size: Resources) -> str:
        invitation = self._register.invite(worker, group)
        config = worker_config(worker, group=group, size=size, terms=self._terms)
        reach = self._reach(cloud) if self._reach else None
        start = _START.format(
            reach=_reached(reach) if reach else "",
            join=_JOIN if reach else "",
            jobs=_jobs(size),
            user=_USER,
            first=FIRST,
            last=LAST,
            metadata=METADATA,
        )
        hosts = "".join(f"{address} {name}\n" for name, address in self._terms.hosts.items())
        files = [
            written("/opt/armillary/hosts", "0644", hosts.encode()),
            written("/opt/armillary/condor.conf", "0644", config.encode()),
            written("/opt/armillary/start", "0755", start.encode()),
            written("/opt/armillary/wrap", "0755", _WRAP.encode()),
        ]
        if reach:
            platform = {"url": reach.url}
            if reach.ca_pem is not None:
                platform["ca_file"] = authority_file(AUTHORITY)
                files.append(written(authority_file(AUTHORITY), "0644", reach.ca_pem))
            files.append(written("/opt/armillary/platform.json", "0644", json.dumps(platform).encode()))
            joining = json.dumps({**platform, "bootstrap_token": invitation})
            files.append(written("/opt/armillary/join.json", "0600", joining.encode()))
            files.append(written("/opt/armillary/beside.pyz", "0644", beside_source()))
        else:  # it cannot be asked what it is made of
            files.append(written(_TOKEN, "0600", self._secrets.join(worker).encode()))
        return cloud_config(files)

    def marks(self) -> Mapping[str, str]:
        return {}

    def expect(self, worker: WorkerId, server: ServerId) -> None:
        """Nothing: the machine's token has its name, and the pool lets nobody else use it."""


def _jobs(size: Resources) -> int:
    """How many jobs may run at once, with some room: HTCondor numbers their slots as they come."""
    return 2 * size.cpus


def _reached(reach: Reach) -> str:
    """Return the piece of shell that lets a machine find and trust the platform."""
    trusted = trust(AUTHORITY) if reach.ca_pem is not None else ""
    if reach.gateway == "":
        return trusted
    return _REACH.format(address=reach.gateway or "", host=HOST, trust=trusted)
