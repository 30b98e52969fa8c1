"""What a crate says of itself, as the world's own tools read it."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from made_crates import IMAGE, a_cluster, a_crate, a_job, content
from prov.model import ProvDocument

from armillary.crates.canonical import digest
from armillary.crates.describing import descriptions, wording
from armillary.crates.layout import METADATA, PROV, WORDING, Crate, Signed
from armillary.crates.prov import MOST_DERIVATIONS, MOST_DERIVATIONS_IN_ALL, prov_json
from armillary.crates.record import Image
from armillary.crates.ro_crate import ro_crate_metadata

WORDED = {
    "3": {
        METADATA: "402e03b8e8e97eb140a66c0e0f1c2377d3fd7c20396e0b21173710653540bbc3",
        PROV: "261bfe13d5d66d9b04fefbc58944689ebff7c496c83a5835380fd689e129de9b",
    }
}
"""SHA-256 of what each wording says of one crate: crates are verified years after they were made."""


def test_prov_json_is_read_by_the_library_of_prov(crate: Crate) -> None:
    document = ProvDocument.deserialize(content=descriptions(crate)[PROV].decode(), format="json")
    types = [type(record).__name__ for record in document.get_records()]
    assert types.count("ProvActivity") == 2
    assert types.count("ProvGeneration") == 4
    assert types.count("ProvUsage") == 2 * (1 + 1 + 2 + 1), "image, executable, arguments, input"
    assert "wasDerivedFrom(sha512:ab" in document.get_provn()
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document


VOCABULARY = {
    "Activity": {"name", "startTime", "endTime", "comment"},
    "ActivityDescription": {"name", "version", "description", "docurl", "type", "subtype"},
    "Agent": {"name", "type", "comment", "email", "affiliation", "phone", "address", "url"},
    "ConfigFile": {"name", "location", "comment"},
    "DatasetEntity": {"name", "location", "generatedAtTime", "invalidatedAtTime", "comment"},
    "Entity": {"name", "location", "generatedAtTime", "invalidatedAtTime", "comment"},
    "Parameter": {"name", "value"},
    "WasConfiguredBy": {"artefactType"},
}
"""Classes of ProvenanceDM 1.0 and their attributes, after the VO-DML document of the recommendation."""
VALUES = {"type": {"Person", "Organization", "SoftwareAgent"}, "artefactType": {"Parameter", "ConfigFile"}}


def test_prov_speaks_the_ivoas_terms(crate: Crate) -> None:
    """Whatever is called `voprov:` is in the data model, and stands on a thing of the class that has it."""
    document = prov_json(crate)
    spoken: set[str] = set()
    for kind, statements in document.items():
        for name, facts in statements.items() if kind != "prefix" else ():
            types = facts.get("prov:type", [])
            qualified = [one["$"] for one in (types if isinstance(types, list) else [types])]
            classes = [one.partition(":")[2] for one in qualified if one.startswith("voprov:")]
            assert set(classes) <= VOCABULARY.keys(), name
            spoken |= set(classes)
            known: set[str] = set().union(*(VOCABULARY[one] for one in classes))
            for key, value in facts.items():
                if key.startswith("voprov:"):
                    attribute = key.partition(":")[2]
                    assert attribute in known, (name, key)
                    assert value in VALUES.get(attribute, {value}), (name, key, value)
    assert spoken == VOCABULARY.keys()


def test_each_file_of_a_crate_is_described_and_each_reference_leads_somewhere(
    crate: Crate, place: Path
) -> None:
    graph = {record["@id"]: record for record in ro_crate_metadata(crate)["@graph"]}
    parts = {part["@id"] for part in graph["./"]["hasPart"]}
    assert len(parts) == sum(1 for path in place.rglob("*") if path.is_file()) - 1, (
        "all but the metadata itself"
    )

    def references(value: object) -> list[str]:
        if isinstance(value, list):
            return [name for one in value for name in references(one)]
        return [value["@id"]] if isinstance(value, dict) and set(value) == {"@id"} else []

    outside = {"https://w3id.org/ro/crate/1.1", "https://armillary.example"}
    statuses = {f"http://schema.org/{how}ActionStatus" for how in ("Completed", "Failed")}
    for record in graph.values():
        for key, value in record.items():
            assert set(references(value)) <= {*graph, *outside, *statuses}, (record["@id"], key)


def test_of_an_image_that_no_cloud_could_speak_of_they_say_so(signing_key: Ed25519PrivateKey) -> None:
    crate = a_crate(signing_key)
    known = json.dumps(ro_crate_metadata(crate))
    unknown = a_cluster(image=Image(name="my-snapshot", sha512=IMAGE))
    said = json.dumps(ro_crate_metadata(replace(crate, cluster=replace(crate.cluster, document=unknown))))
    assert "recipe debian-13; base debian-13; machine prep; snapshot my-snapshot" in known
    assert "Where it comes from is not known" in said
    assert "Where it comes from is not known" not in known


def test_descriptions_are_the_same_whenever_they_are_made(crate: Crate) -> None:
    assert descriptions(crate) == descriptions(crate)
    assert set(descriptions(crate)) == {METADATA, PROV}


def test_who_words_the_descriptions_otherwise_gives_the_wording_another_number(
    with_second_job: Callable[..., Path],
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    said = descriptions(a_crate(key, succeeded=False, exit_code=3))
    assert {path: wording(path, json.loads(data)) for path, data in said.items()} == {
        METADATA: WORDING,
        PROV: WORDING,
    }
    assert {path: digest(data) for path, data in said.items()} == WORDED[WORDING]


def test_what_came_of_what_is_said_in_bounds_however_the_records_multiply_it(
    signing_key: Ed25519PrivateKey,
) -> None:
    files = [content(f"{number}", b"x%d" % number) for number in range(63)]
    few = {"inputs": files[:39], "outputs": files[:50]}  # with the program: 2,000 of each of those
    many = {"inputs": [*files * 3], "outputs": files}  # and one that has more than a job may
    cluster = a_crate(signing_key).cluster
    jobs = [a_job(cluster.sha256, 0, job=f"12.{n}", **(many if n == 1 else few)) for n in range(60)]
    signed = [Signed(document=job, data=job.canonical(), signature=cluster.signature) for job in jobs]
    said = prov_json(Crate(cluster=cluster, jobs=signed))
    derived = Counter(one["prov:generatedEntity"].split("/")[0] for one in said["wasDerivedFrom"].values())
    of_jobs = {name: count for name, count in derived.items() if name.startswith("job:")}
    assert sum(of_jobs.values()) <= MOST_DERIVATIONS_IN_ALL
    assert of_jobs == {f"job:12.{n}": 2000 for n in range(51) if n != 1}, (
        "all but what has too many, and the last"
    )
    assert 2000 < MOST_DERIVATIONS < 190 * 63
    assert len(said["used"]) > 60 * 39 and len(said["wasGeneratedBy"]) >= 60 * 50


def test_a_failed_job_says_why(with_second_job: Callable[..., Path]) -> None:
    place = with_second_job(succeeded=False, exit_code=3)
    graph = {record["@id"]: record for record in json.loads((place / METADATA).read_text())["@graph"]}
    assert graph["#job-12.1"]["error"] == "exit code 3"
    assert graph["#job-12.1"]["actionStatus"] == "http://schema.org/FailedActionStatus"
