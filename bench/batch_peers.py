"""What other systems make of the same: jobs that are `/bin/true`, on two slots of this machine.

Each is run in the Python that has it, as its own process: `python bench/batch_peers.py NAME JOBS` prints
`{"seconds", "submit_seconds", "rss_mib"}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def xargs(jobs: int) -> dict[str, float]:
    """`xargs -P2`: to begin and end a process, and nothing else."""
    before = time.perf_counter()
    numbers = "\n".join(map(str, range(jobs)))
    subprocess.run(["xargs", "-P2", "-n1", "/bin/true"], input=numbers, text=True, check=True)
    return {"seconds": time.perf_counter() - before}


def hyperqueue(jobs: int) -> dict[str, float]:
    """HyperQueue: its server and a worker of two CPUs inside of one process; nothing is kept on disk."""
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=2))
        client = cluster.client()
        before = time.perf_counter()
        job = Job()
        for _ in range(jobs):
            job.program(["/bin/true"], stdout=None, stderr=None)  # by default it leaves two files a job
        submitted = client.submit(job)
        sent = time.perf_counter()
        client.wait_for_jobs([submitted])
        return {"seconds": time.perf_counter() - before, "submit_seconds": sent - before, "rss_mib": _rss()}


def dask(jobs: int) -> dict[str, float]:
    """Dask distributed: a scheduler and two workers of one thread; nothing is kept on disk."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        before = time.perf_counter()
        futures = client.map(_true, range(jobs), pure=False)
        sent = time.perf_counter()
        client.gather(futures)
        return {"seconds": time.perf_counter() - before, "submit_seconds": sent - before, "rss_mib": _rss()}


def _true(_number: int) -> int:
    return subprocess.run(["/bin/true"], check=False).returncode


def _rss() -> float:
    """Return the most memory that this process has had, in MiB. `getrusage` would count that of its parent, too."""
    (peak,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(peak.split()[1]) / 1024


PEERS: dict[str, Any] = {"xargs": xargs, "hyperqueue": hyperqueue, "dask": dask}

if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](int(sys.argv[2]))))
