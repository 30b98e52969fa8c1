"""Jobs, their logs and outputs, and the workers that run them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from armillary.client.http import Armillary

_BASE = "/api/v1/batch"
_PAGE = 1000
Record = dict[str, Any]


class Batch:
    """The batch service of one platform, over `http`. Records are the JSON shapes of the API."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Return which contents the platform does not have yet."""
        found: list[str] = []
        for start in range(0, len(digests), 10_000):
            body = {"sha256": list(digests[start : start + 10_000])}
            found += self._http.post(f"{_BASE}/blobs/check", body)["missing"]
        return found

    def send_blob(self, sha256: str, file: Path) -> None:
        """Send the content of a file; the platform verifies it."""
        self._http.send_file(f"{_BASE}/blobs/{sha256}", file)

    def submit(self, body: Mapping[str, Any], *, key: str) -> Record:
        """Queue a cluster. The same `key` again queues nothing twice and answers alike."""
        return self._http.post(f"{_BASE}/clusters", dict(body), headers={"Idempotency-Key": key})

    def clusters(self) -> Iterator[Record]:
        """Yield our clusters, newest first."""
        yield from self._pages(f"{_BASE}/clusters", "clusters", {})

    def cluster(self, cluster: int) -> Record:
        """Return one cluster."""
        return self._http.get(f"{_BASE}/clusters/{cluster}")

    def jobs(
        self,
        *,
        cluster: int | None = None,
        states: Sequence[str] = (),
        owner: str | None = None,
        project: str | None = None,
        spec: bool = False,
    ) -> Iterator[Record]:
        """Yield jobs in order; with what was submitted, if `spec`."""
        query = {
            "cluster": cluster,
            "state": list(states) or None,
            "owner": owner,
            "project": project,
            "spec": "true" if spec else None,
        }
        yield from self._pages(f"{_BASE}/jobs", "jobs", query)

    def job(self, job: str) -> Record:
        """Return one job with its spec, attempts and outputs."""
        return self._http.get(f"{_BASE}/jobs/{_id(job)}")

    def log(
        self, job: str, *, stream: str, offset: int, attempt: int | None = None
    ) -> tuple[bytes, int, bool]:
        """Return bytes of a stream, where to go on, and whether no more will come."""
        data, headers = self._http.read_bytes(
            f"{_BASE}/jobs/{_id(job)}/logs", stream=stream, offset=offset, attempt=attempt
        )
        following = int(headers.get("X-Log-Next") or offset + len(data))
        return data, following, headers.get("X-Log-Complete") == "true"

    def log_size(self, job: str, *, stream: str) -> int:
        """Return how long a stream is so far."""
        _, headers = self._http.read_bytes(f"{_BASE}/jobs/{_id(job)}/logs", stream=stream, limit=1)
        return int(headers.get("X-Log-Size") or 0)

    def receive_output(self, job: str, name: str, into: BinaryIO) -> str:
        """Bring an output into a file, from where the file ends on; return the SHA-256 of the whole."""
        return self._http.receive_file(f"{_BASE}/jobs/{_id(job)}/outputs/{quote(name)}", into)

    def explain(self, job: str) -> Record:
        """Return every reason for the state of a job."""
        return self._http.get(f"{_BASE}/jobs/{_id(job)}/explain")

    def explain_cluster(self, cluster: int) -> Record:
        """Return how a cluster stands, and every reason of each kind of its jobs that do not run."""
        return self._http.get(f"{_BASE}/clusters/{cluster}/explain")

    def change(self, target: str, verb: str, *, reason: str = "") -> int:
        """Hold, release, remove or retry a job (`7.3`) or a cluster (`7`); return how many jobs changed."""
        kind = "jobs" if "." in target else "clusters"
        body = {"reason": reason} if verb in {"hold", "remove"} else None
        return int(self._http.post(f"{_BASE}/{kind}/{_id(target)}/{verb}", body)["changed"])

    def change_many(
        self,
        action: str,
        selection: Mapping[str, Any],
        *,
        reason: str = "",
        priority: int | None = None,
        memory_mib: int | None = None,
    ) -> int:
        """Change all jobs that a selection means; return how many changed."""
        body: Record = {"action": action, "selection": dict(selection), "priority": priority}
        if memory_mib is not None:
            body["memory_mib"] = memory_mib
        if action in {"hold", "remove"}:
            body["reason"] = reason
        return int(self._http.post(f"{_BASE}/changes", body)["changed"])

    def call(self, job: str, wish: Mapping[str, Any]) -> Record:
        """Ask to run something inside of a running job; the answer says where to connect."""
        return self._http.post(f"{_BASE}/jobs/{_id(job)}/calls", dict(wish))

    def events(self, cluster: int, *, after: int, wait: float = 0) -> Record:
        """Return changes of state after number `after`; waits up to `wait` seconds for one."""
        return self._http.get(f"{_BASE}/clusters/{cluster}/events", after=after, wait=wait or None)

    def outlook(self, project: str | None) -> Record:
        """Return what a project uses, and when its core-hours of this month are spent."""
        return self._http.get(f"{_BASE}/outlook", project=project)

    def usage(self, *, by: Sequence[str], **chosen: str | None) -> Record:
        """Return what was used, by dimensions; `chosen` are since, until, project, owner, cloud, image."""
        return self._http.get(f"{_BASE}/usage", by=list(by), limit=10_000, **chosen)

    def drained(self) -> list[Record]:
        """Return the clouds on which no new workers boot."""
        return self._http.get(f"{_BASE}/drained")["drained"]

    def drain(self, cloud: str, *, reason: str) -> None:
        """Boot no new workers on a cloud."""
        self._http.put(f"{_BASE}/drained/{quote(cloud, safe='')}", {"reason": reason})

    def resume(self, cloud: str) -> None:
        """Let workers boot on a cloud again."""
        self._http.delete(f"{_BASE}/drained/{quote(cloud, safe='')}")

    def workers(self, *, gone: bool = False) -> Iterator[Record]:
        """Yield worker machines, newest first; with those that are gone if asked."""
        yield from self._pages(f"{_BASE}/workers", "workers", {"gone": "true" if gone else None})

    def _pages(self, path: str, key: str, query: Mapping[str, Any]) -> Iterator[Record]:
        marker: str | None = None
        while True:
            page: Record = self._http.get(path, limit=_PAGE, marker=marker, **query)
            yield from page[key]
            marker = page.get("next")
            if not marker:
                return


def _id(name: str) -> str:
    return quote(name, safe=".")
