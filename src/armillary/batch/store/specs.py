"""A job's spec and files as the records keep them: what all jobs of a submit share once, and of each what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from armillary.batch.core.shared import SharedSpec
from armillary.batch.model import InputFile, JobSpec


def whole_spec(row: Any) -> dict[str, Any]:
    """Return the whole spec of a row that has a job's `spec` and its cluster's `common`."""
    return {**row.common, **row.spec}


def whole_inputs(row: Any) -> tuple[InputFile, ...]:
    """Return the files of a row that has a job's `inputs` and its cluster's `common_inputs`."""
    return tuple(
        InputFile(path=path, sha256=sha256, size=size, mode=mode)
        for path, sha256, size, mode in (*row.common_inputs, *row.inputs)
    )


def shared(jobs: Sequence[JobSpec]) -> tuple[dict[str, Any], frozenset[InputFile]]:
    """Return the fields of the specs, and the files, that all jobs of a submit have alike."""
    first = jobs[0]
    if isinstance(first.data, SharedSpec):
        common = dict(first.data.common)
    elif len(jobs) > 1:
        common = dict(first.data)
    else:
        common = {}
    files = set(first.inputs) if len(jobs) > 1 else set[InputFile]()
    for job in jobs[1:]:
        if isinstance(job.data, SharedSpec) and isinstance(first.data, SharedSpec):
            if job.data.common is not first.data.common:
                raise AssertionError("jobs of one submit share one mapping")
        else:
            for name in [
                name for name, value in common.items() if name not in job.data or job.data[name] != value
            ]:
                del common[name]
        if files:
            files.intersection_update(job.inputs)
    return common, frozenset(files)


def difference(data: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a spec is not in what all share."""
    if isinstance(data, SharedSpec):
        return dict(data.own)
    return {name: value for name, value in data.items() if name not in common or common[name] != value}
