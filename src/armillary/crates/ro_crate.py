"""A crate's description as RO-Crate 1.1, by the profile Process Run Crate 0.5: each job is a CreateAction.

Written by hand, not by the `rocrate` library: that one copies every file and asks for its context over the network,
and a description that is a pure function of the records can be made again and compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import quote

from armillary.crates.layout import METADATA, PROV, WORDING, Crate, Entry, Role, disk_path, output_path
from armillary.crates.record import Access, ClusterRecord, ImageRecord, JobRecord, Person

Record = dict[str, Any]
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_LICENSE = "#license"
_FORMATS = {
    Role.RECORD: "application/json",
    Role.SIGNATURE: "application/json",
    Role.KEY: "application/x-pem-file",
    Role.SUBMIT: "text/plain",
}
"""What inputs and outputs are, nobody has said."""
_NOT_KNOWN = "Where it comes from is not known: no cloud that answered had it when this was written down."
_DISKS = {"qcow2": "application/x-qemu-disk"}


def ro_crate_metadata(crate: Crate) -> Record:
    """Return the JSON-LD of `ro-crate-metadata.json`."""
    cluster = crate.cluster.document
    entries = [*crate.papers(), *crate.contents()]
    disks = [crate.image.document] if crate.image else []
    actions = [_action(crate, job.document) for job in crate.jobs]
    title = cluster.batch_name or f"Cluster {cluster.cluster}"
    root: Record = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{title}: {len(crate.jobs)} of {cluster.jobs} jobs",
        "description": f"Jobs of cluster {cluster.cluster} of {cluster.platform}, with signed records of what made each output.",
        "datePublished": _latest(crate),
        "license": {"@id": _LICENSE},
        "author": {"@id": _person_id(cluster.owner)},
        "publisher": {"@id": _project_id(cluster)},
        "conformsTo": [{"@id": _PROFILE}],
        "hasPart": [
            *_refs(_id(entry.path) for entry in entries),
            *_refs(map(disk_path, disks)),
            {"@id": PROV},
        ],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "version": WORDING,
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        root,
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": _LICENSE,
            "@type": "CreativeWork",
            "name": "As its owner says",
            "description": "The owner of these files says under which terms they may be used; the crate itself grants none.",
        },
        {"@id": PROV, "@type": "File", "name": "W3C PROV", "encodingFormat": "application/json"},
        *_people(cluster),
        *_software(cluster, crate),
        *(_file(entry, cluster.platform) for entry in entries),
        *(_disk(image) for image in disks),
        *actions,
        *(_unknown(access) for job in crate.jobs for access in job.document.unknown),
        *(value for job in crate.jobs for value in _values(job.document)),
    ]
    return {"@context": ["https://w3id.org/ro/crate/1.1/context", _TERMS], "@graph": _once(graph)}


_TERMS = {
    "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
    "sha512": "https://w3id.org/ro/terms/workflow-run#sha512",
    "environment": "https://w3id.org/ro/terms/workflow-run#environment",
    "resourceUsage": "https://w3id.org/ro/terms/workflow-run#resourceUsage",
}


def _action(crate: Crate, job: JobRecord) -> Record:
    cluster = crate.cluster.document
    action: Record = {
        "@id": f"#job-{job.job}",
        "@type": "CreateAction",
        "name": f"Job {job.job}",
        "description": " ".join([_program(job), *job.arguments])[:1000],
        "startTime": _time(job.started_at or job.submitted_at),
        "endTime": _time(job.ended_at),
        "agent": {"@id": _person_id(cluster.owner)},
        "instrument": _refs([_program_id(job), _image_id(cluster)]),
        "object": _refs([_id(f"inputs/{file.sha256}") for file in job.sources])
        + _refs([_version(access) for access in job.unknown if access.action == "read"])
        + _refs([f"#job-{job.job}-argument-{n}" for n in range(len(job.arguments))]),
        "result": _refs([_id(output_path(job.job, file.name)) for file in job.results])
        + _refs([_version(access) for access in job.unknown if access.action == "write"]),
        "actionStatus": f"http://schema.org/{'Completed' if job.succeeded else 'Failed'}ActionStatus",
        "environment": _refs(
            [f"#job-{job.job}-environment-{quote(name, safe='')}" for name in job.environment]
        ),
        "resourceUsage": _refs([f"#job-{job.job}-used-{quote(name, safe='')}" for name in job.usage]),
    }
    if not job.succeeded:
        action["error"] = job.error or _ending(job)
    return {key: value for key, value in action.items() if value != []}


def _ending(job: JobRecord) -> str:
    return f"ended by signal {job.signal}" if job.signal is not None else f"exit code {job.exit_code}"


def _values(job: JobRecord) -> Iterable[Record]:
    for place, argument in enumerate(job.arguments):
        yield _value(f"#job-{job.job}-argument-{place}", f"argument {place}", argument)
    for name, value in job.environment.items():
        yield _value(f"#job-{job.job}-environment-{quote(name, safe='')}", name, value)
    for name, value in job.usage.items():
        yield _value(f"#job-{job.job}-used-{quote(name, safe='')}", name, value)


def _value(place: str, name: str, value: Any) -> Record:
    return {"@id": place, "@type": "PropertyValue", "name": name, "value": value}


def _people(cluster: ClusterRecord) -> list[Record]:
    project = _project_id(cluster)
    people = {
        one.name: one for one in [cluster.owner, *(step.by for step in cluster.image.lineage if step.by)]
    }
    found: list[Record] = [
        {"@id": _person_id(one), "@type": "Person", "name": one.name} for one in people.values()
    ]
    found[0]["affiliation"] = {"@id": project}
    return [*found, {"@id": project, "@type": "Organization", "name": cluster.project.name, "url": project}]


def _project_id(cluster: ClusterRecord) -> str:
    return f"{cluster.platform}/projects/{quote(cluster.project.name, safe='')}"


def _software(cluster: ClusterRecord, crate: Crate) -> list[Record]:
    lineage = "; ".join(f"{step.kind} {step.name}" for step in cluster.image.lineage)
    image = {
        "@id": _image_id(cluster),
        "@type": "SoftwareApplication",
        "name": cluster.image.name,
        "url": {"@id": cluster.platform},
        "softwareVersion": f"sha512:{cluster.image.sha512}",
        "sha512": cluster.image.sha512,
        "description": f"The machine image that the jobs ran on. {lineage or _NOT_KNOWN}",
    }
    if crate.image:
        image["encoding"] = {"@id": disk_path(crate.image.document)}
    inside = [
        {"@id": _program_id(job.document), "@type": "SoftwareApplication", "name": _program(job.document),
         "url": {"@id": cluster.platform}, "softwareVersion": f"of the image sha512:{cluster.image.sha512}",
         "softwareRequirements": {"@id": _image_id(cluster)}}
        for job in crate.jobs if job.document.executable is None
    ]  # fmt: skip
    return [image, *inside]


def _file(entry: Entry, platform: str) -> Record:
    about: Record = {
        "@id": _id(entry.path),
        "@type": "File",
        "name": entry.content.name if entry.content else entry.path,
        "contentSize": str(entry.size),
        "sha256": entry.sha256,
        "encodingFormat": _FORMATS.get(entry.role, "application/octet-stream"),
    }
    if entry.content and entry.content.uri:
        about["identifier"] = entry.content.uri
    if entry.program:
        about |= {
            "@type": ["File", "SoftwareSourceCode"],
            "version": f"sha256:{entry.sha256}",
            "url": {"@id": platform},
        }
    return about


def _disk(image: ImageRecord) -> Record:
    return {
        "@id": disk_path(image),
        "@type": "File",
        "name": f"Disk of the machine image {image.name}",
        "contentSize": str(image.size),
        "sha512": image.sha512,
        "encodingFormat": _DISKS.get(image.disk_format, "application/octet-stream"),
    }


def _unknown(access: Access) -> Record:
    """Describe bytes that are not here, and of which no SHA-256 was taken: they are named all the same."""
    return {
        "@id": _version(access),
        "@type": "CreativeWork",
        "name": access.uri,
        "identifier": access.uri,
        "contentSize": str(access.size or 0),
        "description": f"Not in this crate: these bytes were replaced, or were too many, before their SHA-256 was taken. "
        f"Their MD5 is {access.md5}.",
    }


def _version(access: Access) -> str:
    return f"urn:md5:{access.md5}?={quote(access.uri, safe='')}"


def _once(graph: Iterable[Record]) -> list[Record]:
    """Return each entity once. A list of one is written as that one, as RO-Crate recommends."""
    entities = {record["@id"]: record for record in graph}
    return [{key: _plain(value) for key, value in record.items()} for record in entities.values()]


def _plain(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    several = cast("list[Any]", value)
    return several[0] if len(several) == 1 else several


def _program(job: JobRecord) -> str:
    return (
        job.executable.name if job.executable else str(job.spec.get("executable", "a program of the image"))
    )


def _program_id(job: JobRecord) -> str:
    return (
        _id(f"inputs/{job.executable.sha256}")
        if job.executable
        else f"urn:armillary:program:{quote(_program(job))}"
    )


def _image_id(cluster: ClusterRecord) -> str:
    return f"urn:sha512:{cluster.image.sha512}"


def _person_id(person: Person) -> str:
    return f"#person-{quote(person.name, safe='')}"


def _refs(names: Iterable[str]) -> list[Record]:
    return [{"@id": name} for name in names]


def _id(path: str) -> str:
    return quote(path)


def _latest(crate: Crate) -> str:
    ends = [job.document.ended_at for job in crate.jobs]
    return _time(max(ends) if ends else crate.cluster.document.submitted_at)


def _time(moment: Any) -> str:
    return moment.isoformat(timespec="milliseconds")
