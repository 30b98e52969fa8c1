"""The two descriptions of a crate, in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from armillary.crates.layout import METADATA, PROV, Crate
from armillary.crates.prov import PLATFORM, prov_json
from armillary.crates.ro_crate import ro_crate_metadata


def descriptions(crate: Crate) -> Mapping[str, bytes]:
    """Return RO-Crate's metadata and the PROV-JSON by their paths."""
    return {METADATA: _json(ro_crate_metadata(crate)), PROV: _json(prov_json(crate))}


def wording(path: str, description: Any) -> str | None:
    """Return which wording a description says that it has; None when it says nothing of the kind."""
    try:
        if path == PROV:
            found = description["agent"][PLATFORM]["armillary:wording"]
        else:
            found = next(one for one in description["@graph"] if one["@id"] == METADATA)["version"]
    except (KeyError, TypeError, StopIteration):
        return None
    return found if isinstance(found, str) else None


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
