"""Jobs reach neither the metadata service nor the user data: tried as a job's user, in a network of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.guest.agent import privacy

TRIAL = """
import sys
sys.path.insert(0, {source!r})
from armillary.guest.agent import privacy
from armillary.guest.agent.slots import FIRST, Account
account = Account("slot1", FIRST, FIRST)
before = privacy.reaches_metadata(account)
acts = {{"nft": privacy._by_nft, "iptables": privacy._by_iptables, "ip rule": privacy._by_rule}}
done = acts[{way!r}]()
print(before, done, privacy.reaches_metadata(account), privacy.reaches_metadata(Account("root", 0, 0)))
"""
NETWORK = """
until [ "$(readlink /proc/$cloud/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add here type veth peer name there
ip link set there netns $cloud
ip addr add 169.254.1.1/16 dev here
ip link set here up
until (exec 3<>/dev/tcp/169.254.169.254/80) 2>/dev/null; do sleep 0.05; done
exec "$@"
"""
CLOUD = f"""
until ip addr add 169.254.169.254/16 dev there 2>/dev/null; do sleep 0.02; done
ip link set there up
exec {sys.executable} -m http.server 80 --bind 169.254.169.254 >/dev/null 2>&1
"""
"""The other end of a cable, with a service that answers there."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")
@pytest.mark.parametrize("way", ["nft", "iptables", "ip rule"])
def test_the_metadata_service_is_shut_to_jobs_alone(way: str):
    if not shutil.which(way.split(maxsplit=1)[0]):
        pytest.skip(f"no {way} here")  # as in a machine without it: the next way is tried
    source = str(Path(privacy.__file__).parents[3])
    trial = TRIAL.format(source=source, way=way)
    shell = f"unshare --net bash -c '{CLOUD}' & cloud=$!; {NETWORK}"
    alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*alone, "bash", "-c", shell, "sh", sys.executable, "-c", trial],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["True", "True", "False", "True"], done.stderr


def test_files_with_user_data_are_roots_alone(tmp_path: Path):
    secret = tmp_path / "agent.json"
    secret.write_text("token")
    secret.chmod(0o644)
    privacy.close_files(secret, root=tmp_path)
    assert secret.stat().st_mode & 0o777 == 0o600


def test_what_cloud_init_keeps_is_shut(tmp_path: Path):
    instance = tmp_path / "var/lib/cloud/instances/i-1"
    (instance / "scripts").mkdir(parents=True)
    (instance / "user-data.txt.i").write_text("token")
    (tmp_path / "run/cloud-init").mkdir(parents=True)
    (tmp_path / "run/cloud-init/instance-data-sensitive.json").write_text("token")
    privacy.close_files(root=tmp_path)
    assert (instance / "user-data.txt.i").stat().st_mode & 0o777 == 0o600
    assert (instance / "scripts").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run/cloud-init/instance-data-sensitive.json").stat().st_mode & 0o777 == 0o600
