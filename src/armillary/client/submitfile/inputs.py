"""The files that the jobs of a submission need from the person's machine."""

from __future__ import annotations

import os.path

from armillary.client.submitfile import values
from armillary.client.submitfile.access import Access
from armillary.client.submitfile.getter import Getter
from armillary.client.submitfile.model import JobSpec, SubmitError, is_address


class Inputs:
    """Fills the fields of a job that name its inputs, and gathers the files in `sources`."""

    def __init__(self, *, access: Access) -> None:
        self.sources: dict[str, str] = {}
        self._access = access
        self._trees: dict[str, list[str]] = {}
        self._directories: dict[str, str] = {}

    def executable(self, get: Getter, spec: JobSpec) -> None:
        """The program: sent along, or of the image."""
        if shell := get.text("shell"):
            spec.executable, spec.transfer_executable = "/bin/sh", False
            spec.arguments = ["-c", shell]
            return
        name = get.word("executable")
        if not name:
            raise SubmitError("there is no executable", remedy="Add a line executable = PROGRAM above queue.")
        spec.executable = name
        spec.transfer_executable = get.flag("transfer_executable", default=True)
        if spec.transfer_executable:
            # relative to where the person submits, also when there is an initialdir
            get.not_by_cluster(name, "executable")
            self._one(name, "executable", get)

    def directory(self, get: Getter, spec: JobSpec) -> None:
        """Where inputs are read and outputs are written."""
        directory = get.word("initialdir")
        if directory not in self._directories:
            self._directories[directory] = self._access.absolute(directory)
        spec.iwd = self._directories[directory]

    def standard_input(self, get: Getter, spec: JobSpec) -> None:
        """The file on standard input."""
        name = get.file("input")
        if name and get.flag("transfer_input", default=True):
            get.not_by_cluster(name, "input")
            spec.input = _join(get.word("initialdir"), name)
            self._one(spec.input, "input", get)
        else:
            spec.input = None

    def files(self, get: Getter, spec: JobSpec) -> None:
        """`transfer_input_files`: files, what is in directories, and addresses that the worker fetches."""
        directory, keep = get.word("initialdir"), get.flag("preserve_relative_paths")
        listed: list[str] = []
        for name in values.split_list(get.text("transfer_input_files") or ""):
            if is_address(name):
                listed.append(name)
                continue
            get.not_by_cluster(name, "transfer_input_files")
            place = _join(directory, name)
            for below in self._tree(place, get.line("transfer_input_files")):
                key = _key(directory, name, below, keep=keep)
                self.sources[key] = os.path.normpath(_join(place, below)) if below else place
                listed.append(key)
        spec.transfer_input_files = listed

    def _one(self, place: str, command: str, get: Getter) -> None:
        if self._tree(place, get.line(command)) != [""]:
            raise SubmitError(f"the {command} {place[:200]} is a directory", line=get.line(command))
        self.sources[place] = place

    def _tree(self, place: str, line: int | None) -> list[str]:
        """Return the files below a directory, or [""] for a file; each place is looked at once."""
        found = self._trees.get(place)
        if found is None:
            below = self._access.tree(place, line=line)
            found = self._trees[place] = [""] if below is None else below
        return found


def _join(directory: str, name: str) -> str:
    return os.path.join(directory, name)  # noqa: PTH118 - keeps the trailing slash, which has a meaning


def _key(directory: str, name: str, below: str, *, keep: bool) -> str:
    """Name a file as it is transferred: what stands behind `/./` is its place in the job's scratch."""
    if keep and not name.startswith("/"):
        return f"{directory or '.'}/./{name.rstrip('/')}{'/' + below if below else ''}"
    place = _join(directory, name)
    if not below:
        return place
    if name.endswith("/"):
        return f"{place}./{below}"
    parent, last = os.path.split(place)
    return f"{parent or '.'}/./{last}/{below}"
