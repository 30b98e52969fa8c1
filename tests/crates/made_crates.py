"""A crate of two jobs, as a platform would write it."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.crates.canonical import digest
from armillary.crates.describing import descriptions
from armillary.crates.layout import Crate, Role, Signed
from armillary.crates.record import (
    ClusterRecord,
    Content,
    Image,
    ImageRecord,
    JobRecord,
    LineageStep,
    Machine,
    Person,
)
from armillary.crates.signing import key_id, public_pem, sign

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = "ab" * 64
BYTES = {
    "program": b"#!/bin/sh\nsort $1 > $2\n",
    "input": b"3\n1\n2\n",
    "0.txt": b"1\n2\n3\n",
    "1.txt": b"3\n2\n1\n",
    "dir/deep file.txt": b"deep\n",
}
DISK = b"QFI\xfb" + bytes(range(256)) * 40
"""of a machine image that a crate brings along"""
Built = tuple[Path, Crate, Ed25519PrivateKey]


def content(name: str, data: bytes, **more: Any) -> Content:
    return Content(name=name, sha256=digest(data), size=len(data), **more)


def a_cluster(**more: Any) -> ClusterRecord:
    lineage = [
        LineageStep(kind="recipe", name="debian-13", sha256="cd" * 32),
        LineageStep(kind="base", name="debian-13", sha512="ef" * 64, at=BEGAN),
        LineageStep(kind="machine", name="prep", by=Person(name="ada"), at=BEGAN + timedelta(hours=1)),
        LineageStep(kind="snapshot", name="my-snapshot", sha512=IMAGE, by=Person(name="ada")),
    ]
    facts: dict[str, Any] = {
        "platform": "https://armillary.example", "cluster": 12, "batch_name": "sorting", "owner": Person(name="ada"),
        "project": Person(name="m51"), "submitted_at": BEGAN + timedelta(days=1), "submit_text": "queue 2\n",
        "jobs": 2, "flavor": "c1", "image": Image(name="my-snapshot", sha512=IMAGE, lineage=lineage),
    }  # fmt: skip
    return ClusterRecord(**(facts | more))


def a_job(of: str, proc: int, **more: Any) -> JobRecord:
    outputs = [content(f"{proc}.txt", BYTES[f"{proc}.txt"], uri=f"vos://x!vault/home/ada/{proc}.txt")]
    if proc:
        outputs.append(content("dir/deep file.txt", BYTES["dir/deep file.txt"]))
        outputs.append(content("../up", b"up"))
    began = BEGAN + timedelta(days=1, minutes=proc)
    facts: dict[str, Any] = {
        "cluster": of, "job": f"12.{proc}", "attempt": 1, "attempts": 1,
        "executable": content("sort.sh", BYTES["program"], mode=0o755), "arguments": ["in.txt", f"{proc} é.txt"],
        "environment": {"LC ALL": "C"}, "inputs": [content("in.txt", BYTES["input"])],
        "spec": {"executable": "sort.sh", "request_cpus": 1},
        "machine": Machine(flavor="c1", worker="w1", image_sha512=IMAGE, cpu_model="A CPU", cloud="embedded"),
        "submitted_at": began, "started_at": began, "ended_at": began + timedelta(seconds=1), "exit_code": 0,
        "signal": None, "succeeded": True, "usage": {"wall_seconds": 1.25}, "outputs": outputs,
    }  # fmt: skip
    return JobRecord(**(facts | more))


def a_crate(key: Ed25519PrivateKey, **of_second: Any) -> Crate:
    cluster = a_cluster()
    data = cluster.canonical()
    signed = Signed(document=cluster, data=data, signature=sign(data, key=key))
    jobs = [a_job(signed.sha256, 0), a_job(signed.sha256, 1, **of_second)]
    papers = [
        Signed(document=job, data=job.canonical(), signature=sign(job.canonical(), key=key)) for job in jobs
    ]
    return Crate(cluster=signed, jobs=papers, keys={key_id(key.public_key()): public_pem(key.public_key())})


def write(crate: Crate, root: Path) -> Path:
    by_digest = {digest(data): data for data in [*BYTES.values(), b"up"]}
    files = {entry.path: entry.data for entry in crate.papers()}
    files |= {entry.path: by_digest[entry.sha256] for entry in crate.contents()}
    for path, data in {**files, **descriptions(crate)}.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        assert data is not None
        place.write_bytes(data)
    assert any(entry.role is Role.INPUT for entry in crate.contents())
    return root


def with_image(key: Ed25519PrivateKey, signer: Ed25519PrivateKey, data: bytes) -> Crate:
    """Return a crate whose jobs ran on DISK, and which says that it brings `data` as its image."""
    sha512 = hashlib.sha512(DISK).hexdigest()
    cluster = a_cluster(image=Image(name="my-snapshot", sha512=sha512))
    signed = Signed(document=cluster, data=cluster.canonical(), signature=sign(cluster.canonical(), key=key))
    machine = Machine(flavor="c1", worker="w1", image_sha512=sha512)
    job = a_job(signed.sha256, 0, machine=machine)
    image = ImageRecord(
        platform="https://armillary.example", name="my-snapshot", sha512=hashlib.sha512(data).hexdigest(),
        size=len(data), disk_format="qcow2", min_disk_gib=3, properties={"os_distro": "debian"},
    )  # fmt: skip
    public = [one.public_key() for one in (key, signer)]
    return Crate(
        cluster=signed,
        jobs=[Signed(document=job, data=job.canonical(), signature=sign(job.canonical(), key=key))],
        keys={key_id(one): public_pem(one) for one in public},
        image=Signed(document=image, data=image.canonical(), signature=sign(image.canonical(), key=signer)),
    )
