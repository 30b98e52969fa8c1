"""What a crate says of itself, as the world's own tools read it."""

import json
from collections.abc import Callable
from pathlib import Path

from prov.model import ProvDocument

from armillary.crates.describing import descriptions
from armillary.crates.layout import METADATA, PROV, Crate
from armillary.crates.prov import prov_json
from armillary.crates.ro_crate import ro_crate_metadata


def test_prov_json_is_read_by_the_library_of_prov(crate: Crate) -> None:
    document = ProvDocument.deserialize(content=descriptions(crate)[PROV].decode(), format="json")
    types = [type(record).__name__ for record in document.get_records()]
    assert types.count("ProvActivity") == 2
    assert types.count("ProvGeneration") == 4
    assert types.count("ProvUsage") == 2 * (1 + 1 + 2 + 1), "image, executable, arguments, input"
    assert "wasDerivedFrom(sha512:ab" in document.get_provn()
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document


def test_prov_speaks_the_ivoas_terms(crate: Crate) -> None:
    text = json.dumps(prov_json(crate))
    for term in (
        "Activity",
        "ActivityDescription",
        "DatasetEntity",
        "ConfigFile",
        "Parameter",
        "Agent",
        "Individual",
    ):
        assert term in text
    assert prov_json(crate)["prefix"]["voprov"].startswith("http://www.ivoa.net/")


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


def test_descriptions_are_the_same_whenever_they_are_made(crate: Crate) -> None:
    assert descriptions(crate) == descriptions(crate)
    assert set(descriptions(crate)) == {METADATA, PROV}


def test_a_failed_job_says_why(with_second_job: Callable[..., Path]) -> None:
    place = with_second_job(succeeded=False, exit_code=3)
    graph = {record["@id"]: record for record in json.loads((place / METADATA).read_text())["@graph"]}
    assert graph["#job-12.1"]["error"] == "exit code 3"
    assert graph["#job-12.1"]["actionStatus"] == {"@id": "http://schema.org/FailedActionStatus"}
