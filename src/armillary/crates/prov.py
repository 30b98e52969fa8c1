"""A crate's story in the terms of W3C PROV, as PROV-JSON (member submission of 24 April 2013).

Classes and attributes are those of the IVOA's ProvenanceDM 1.0: a job is an Activity that follows an
ActivityDescription (the submit), inputs and outputs are DatasetEntities, the image and the executable are ConfigFiles
(Parameters are its arguments), people are Agents. `voprov:` names what PROV has no term for, `armillary:` what
ProvenanceDM has none for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.crates.layout import WORDING, Crate
from armillary.crates.record import Access, ClusterRecord, Content, JobRecord, LineageStep

Record = dict[str, Any]
MOST_DERIVATIONS = 10_000
"""of one job: beyond that `used` and `wasGeneratedBy` say it alone, or they would be as many as inputs times outputs"""
MOST_DERIVATIONS_IN_ALL = 100_000
"""of a crate, whose first jobs have them: all is put together in memory, also of a stranger's records"""
PREFIXES = {
    "voprov": "http://www.ivoa.net/documents/ProvenanceDM/index.html#",
    "armillary": "https://w3id.org/armillary/terms#",
    "md5": "urn:md5:",
    "sha256": "urn:sha256:",
    "sha512": "urn:sha512:",
}


PLATFORM = "at:platform"


class _Story:
    """The statements, each under an identifier that says what it is about."""

    def __init__(self, base: str) -> None:
        self.document: Record = {"prefix": {**PREFIXES, "job": f"{base}/jobs/", "at": f"{base}/"}}
        self._said = 0
        self._derivations = MOST_DERIVATIONS_IN_ALL

    def element(self, kind: str, name: str, facts: Mapping[str, Any]) -> str:
        self.document.setdefault(kind, {}).setdefault(
            name, {key: value for key, value in facts.items() if value is not None}
        )
        return name

    def relation(self, kind: str, facts: Mapping[str, Any]) -> None:
        self._said += 1
        self.document.setdefault(kind, {})[f"_:r{self._said}"] = dict(facts)

    def has_room(self, derivations: int) -> bool:
        """Take room for a job's derivations, if they and all those before are not too many."""
        if derivations > min(MOST_DERIVATIONS, self._derivations):
            return False
        self._derivations -= derivations
        return True


def prov_json(crate: Crate) -> Record:
    """Return the PROV-JSON document of a crate."""
    cluster = crate.cluster.document
    story = _Story(cluster.platform.rstrip("/"))
    owner = _agent(story, "people", cluster.owner.name, "Person")
    project = _agent(story, "projects", cluster.project.name, "Organization")
    platform = story.element(
        "agent",
        PLATFORM,
        {
            "prov:type": [_qname("prov:SoftwareAgent"), _qname("voprov:Agent")],
            "prov:label": cluster.platform,
            "voprov:name": cluster.platform,
            "voprov:type": "SoftwareAgent",
            "armillary:wording": WORDING,
        },
    )
    story.relation("actedOnBehalfOf", {"prov:delegate": owner, "prov:responsible": project})
    submit = story.element(
        "entity",
        f"at:clusters/{cluster.cluster}",
        {
            "prov:type": [_qname("prov:Plan"), _qname("voprov:ActivityDescription")],
            "voprov:name": cluster.batch_name or f"cluster {cluster.cluster}",
            "armillary:record": f"sha256:{crate.cluster.sha256}",
        },
    )
    story.relation("wasAttributedTo", {"prov:entity": submit, "prov:agent": owner})
    image = _image(story, cluster)
    for signed in crate.jobs:
        activity = _job(story, signed.document, signed.sha256)
        story.relation(
            "wasAssociatedWith",
            {"prov:activity": activity, "prov:agent": owner, "prov:plan": submit, "prov:role": "operator"},
        )
        story.relation(
            "wasAssociatedWith", {"prov:activity": activity, "prov:agent": platform, "prov:role": "provider"}
        )
        _used(story, activity, image, "image", artefact="ConfigFile")
        _files(story, signed.document, activity, owner)
    return story.document


def _job(story: _Story, job: JobRecord, sha256: str) -> str:
    machine = job.machine
    return story.element(
        "activity",
        f"job:{job.job}",
        {
            "prov:startTime": _time(job.started_at or job.submitted_at),
            "prov:endTime": _time(job.ended_at),
            "prov:type": _qname("voprov:Activity"),
            "voprov:name": f"job {job.job}",
            "voprov:comment": f"attempt {job.attempt} on {machine.worker}",
            "armillary:exitCode": job.exit_code,
            "armillary:signal": job.signal,
            "armillary:cloud": machine.cloud,
            "armillary:flavor": machine.flavor,
            "armillary:cpuModel": machine.cpu_model,
            "armillary:kernel": machine.kernel,
            "armillary:record": f"sha256:{sha256}",
        },
    )


def _files(story: _Story, job: JobRecord, activity: str, owner: str) -> None:
    given: list[str] = []
    if job.executable:
        program = _file(story, job.executable, "ConfigFile")
        _used(story, activity, program, "executable", artefact="ConfigFile")
        given.append(program)
    for place, argument in enumerate(job.arguments):
        parameter = story.element(
            "entity",
            f"job:{job.job}#argument-{place}",
            {
                "prov:type": _qname("voprov:Parameter"),
                "voprov:name": f"argument {place}",
                "prov:value": argument,
                "voprov:value": argument,
            },
        )
        _used(story, activity, parameter, "parameter", artefact="Parameter")
    for file in job.sources:
        name = _file(story, file, "DatasetEntity")
        _used(story, activity, name, "input", called=file.name)
        given.append(name)
    for access in job.unknown:
        _unknown(story, access, activity)
    results = job.results
    if not story.has_room(len(given) * len(results)):
        given = []
    for file in results:
        name = story.element(
            "entity",
            f"job:{job.job}/outputs/{_local(file.name)}",
            {**_facts(file, "DatasetEntity"), "voprov:generatedAtTime": _time(job.ended_at)},
        )
        story.relation(
            "wasGeneratedBy",
            {
                "prov:entity": name,
                "prov:activity": activity,
                "prov:time": _time(job.ended_at),
                "prov:role": "output",
            },
        )
        story.relation("wasAttributedTo", {"prov:entity": name, "prov:agent": owner})
        for source in given:
            story.relation("wasDerivedFrom", {"prov:generatedEntity": name, "prov:usedEntity": source})


def _unknown(story: _Story, access: Access, activity: str) -> None:
    """Say what was read or written whose bytes were replaced, or were too many, before their SHA-256 was taken."""
    name = story.element(
        "entity",
        f"md5:{access.md5}",
        {
            "prov:type": _qname("voprov:DatasetEntity"),
            "voprov:name": access.uri,
            "voprov:location": access.uri,
            "armillary:md5": access.md5,
            "armillary:bytes": access.size,
        },
    )
    if access.action == "read":
        _used(story, activity, name, "input", called=access.uri)
    else:
        story.relation(
            "wasGeneratedBy",
            {
                "prov:entity": name,
                "prov:activity": activity,
                "prov:time": _time(access.at),
                "prov:role": "output",
            },
        )


def _image(story: _Story, cluster: ClusterRecord) -> str:
    image = story.element("entity", f"sha512:{cluster.image.sha512}", _image_facts(cluster.image.name))
    before: str | None = None
    for place, step in enumerate(cluster.image.lineage):
        name = _step(story, cluster, place, step)
        if before is not None and before != name:
            story.relation("wasDerivedFrom", {"prov:generatedEntity": name, "prov:usedEntity": before})
        if step.by:
            agent = _agent(story, "people", step.by.name, "Person")
            story.relation("wasAttributedTo", {"prov:entity": name, "prov:agent": agent})
        before = name
    if before is not None and before != image:
        story.relation("wasDerivedFrom", {"prov:generatedEntity": image, "prov:usedEntity": before})
    return image


def _step(story: _Story, cluster: ClusterRecord, place: int, step: LineageStep) -> str:
    if step.sha512:
        return story.element("entity", f"sha512:{step.sha512}", _image_facts(step.name))
    return story.element(
        "entity",
        f"at:clusters/{cluster.cluster}/lineage/{place}",
        {
            "prov:type": _qname("voprov:Entity"),
            "voprov:name": f"{step.kind} {step.name}",
            "voprov:generatedAtTime": _time(step.at) if step.at else None,
        },
    )


def _image_facts(name: str) -> Record:
    return {"prov:type": _qname("voprov:ConfigFile"), "voprov:name": name}


def _file(story: _Story, file: Content, kind: str) -> str:
    return story.element("entity", f"sha256:{file.sha256}", _facts(file, kind))


def _facts(file: Content, kind: str) -> Record:
    return {
        "prov:type": _qname(f"voprov:{kind}"),
        "voprov:name": file.name,
        "voprov:location": file.uri,
        "armillary:sha256": file.sha256,
        "armillary:bytes": file.size,
    }


def _used(
    story: _Story,
    activity: str,
    entity: str,
    role: str,
    *,
    artefact: str | None = None,
    called: str | None = None,
) -> None:
    """Say what a job used. `artefact`: it is configured by it, as ProvenanceDM has it, which to PROV is a use."""
    facts: Record = {"prov:activity": activity, "prov:entity": entity, "prov:role": role}
    if artefact:
        facts |= {"prov:type": _qname("voprov:WasConfiguredBy"), "voprov:artefactType": artefact}
    if called:
        facts["armillary:name"] = called
    story.relation("used", facts)


def _agent(story: _Story, folder: str, name: str, kind: str) -> str:
    types = [_qname(f"prov:{kind}"), _qname("voprov:Agent")]
    facts = {"prov:type": types, "voprov:name": name, "voprov:type": kind}
    return story.element("agent", f"at:{folder}/{_local(name)}", facts)


def _local(name: str) -> str:
    """Return a name as the local part of a qualified name: whatever is not plain is written as its UTF-8 bytes."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
    return "".join(c if c in plain else "".join(f"~{octet:02x}" for octet in c.encode()) for c in name)


def _qname(name: str) -> Record:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _time(moment: Any) -> str:
    return moment.isoformat().replace("+00:00", "Z")
