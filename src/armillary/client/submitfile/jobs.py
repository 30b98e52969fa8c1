"""One job out of the macros as they stand for it."""

from __future__ import annotations

import os.path
from collections.abc import Callable

from armillary.client.submitfile import commands, values
from armillary.client.submitfile.access import Access
from armillary.client.submitfile.macros import Macros
from armillary.client.submitfile.model import (
    CLUSTER,
    DEFAULT_DISK_KIB,
    DEFAULT_MEMORY_MIB,
    JobSpec,
    Note,
    SubmitError,
    is_address,
)

_UNIVERSES = {"", "vanilla", "5"}


class JobMaker:
    """Makes the jobs of a submission and gathers the files that they need."""

    def __init__(self, *, access: Access, warn: Callable[[Note], None]) -> None:
        self.sources: dict[str, str] = {}
        self.batch_name: str | None = None
        self._access = access
        self._warn = warn
        self._trees: dict[tuple[str, bool], list[str]] = {}
        self._constant: dict[str, str] = {}

    def check_commands(self, macros: Macros) -> None:
        """Refuse what cannot be honoured, and warn of what has no effect."""
        for name in macros.names:
            known, line = commands.canonical(name), macros.line(name)
            if why := commands.REFUSED.get(known):
                raise SubmitError(f"{name} is not supported: {why}", line=line, remedy="Remove it.")
            if why := commands.NOT_HONOURED.get(known):
                self._warn(Note(message=f"{name} has no effect: {why}", line=line))
            elif known.startswith("my."):
                self._warn(Note(message=f"+{name[3:]} has no effect: jobs carry no attributes", line=line))
            elif known not in commands.HONOURED | commands.WITHOUT_EFFECT and not macros.uses(name):
                meant = commands.suggestion(known)
                hint = f"; did you mean {meant}?" if meant else ""
                self._warn(Note(message=f"{name} is no command, and nothing uses it{hint}", line=line))

    def make(self, macros: Macros, *, proc: int) -> JobSpec:
        """Return the job. Raises SubmitError."""
        get = _Getter(macros)
        self._check_universe(get)
        directory = get.text("initialdir") or ""
        executable, sent = self._executable(get)
        spec = JobSpec(proc=proc, executable=executable, transfer_executable=sent)
        if (text := get.text("arguments")) is not None:
            spec.arguments = values.split_arguments(text, line=get.line("arguments"))
        spec.environment = self._environment(get)
        spec.input = self._input(get, directory)
        spec.output, spec.error, spec.log = (_name(get.text(name)) for name in ("output", "error", "log"))
        spec.transfer_input_files = self._inputs(get, directory)
        if (text := get.text("transfer_output_files")) is not None:
            spec.transfer_output_files = [n for n in values.split_list(text) if n not in ("/dev/null", '""')]
        spec.transfer_output_remaps = _remaps(get)
        self._requests(get, spec)
        spec.iwd = self._absolute(directory)
        self.batch_name = self.batch_name or _unquoted(get.text("batch_name")) or None
        return spec

    def _absolute(self, directory: str) -> str:
        if directory not in self._constant:
            self._constant[directory] = self._access.absolute(directory)
        return self._constant[directory]

    def _check_universe(self, get: _Getter) -> None:
        universe = (get.text("universe") or "").lower()
        if universe not in _UNIVERSES:
            raise SubmitError(
                f"the {universe} universe is not supported: jobs run in machines made from your image",
                line=get.line("universe"),
                remedy="Write universe = vanilla, or leave the line out.",
                code="universe",
            )
        mail = (get.text("notification") or "never").lower()
        if mail != "never":
            self._warn(
                Note(message="notification has no effect: no mail is sent", line=get.line("notification"))
            )
        if (get.text("should_transfer_files") or "").lower() == "no":
            message = "should_transfer_files = no has no effect: workers share no file system with you"
            self._warn(Note(message=message, line=get.line("should_transfer_files")))

    def _executable(self, get: _Getter) -> tuple[str, bool]:
        name = _unquoted(get.text("executable"))
        if not name:
            raise SubmitError("there is no executable", remedy="Add a line executable = PROGRAM above queue.")
        sent = get.flag("transfer_executable", default=True)
        if sent:
            # relative to where the person submits, also when there is an initialdir
            _refuse_cluster(name, "executable", get)
            if self._tree(name, get.line("executable")) != [""]:
                raise SubmitError(f"the executable {name} is a directory", line=get.line("executable"))
            self.sources[name] = name
        return name, sent

    def _environment(self, get: _Getter) -> dict[str, str]:
        made: dict[str, str] = {}
        getenv = (get.text("getenv") or "false").strip()
        if getenv.lower() in {"true", "yes", "t", "y", "1"}:
            raise SubmitError(
                "getenv = true would copy your whole environment, secrets and all, into the job",
                line=get.line("getenv"),
                remedy="Name the variables: getenv = LANG, MY_VARIABLE",
                code="getenv",
            )
        if getenv.lower() not in {"false", "no", "f", "n", "0"}:
            for pattern in getenv.replace(",", " ").split():
                made.update(self._access.variables(pattern, line=get.line("getenv")))
        if (text := get.text("environment")) is not None:
            made.update(values.read_environment(text, line=get.line("environment")))
        return made

    def _input(self, get: _Getter, directory: str) -> str | None:
        name = _name(get.text("input"))
        if not name:
            return None
        _refuse_cluster(name, "input", get)
        key = _join(directory, name)
        if self._tree(key, get.line("input")) != [""]:
            raise SubmitError(f"the input {name} is a directory", line=get.line("input"))
        self.sources[key] = key
        return key

    def _inputs(self, get: _Getter, directory: str) -> list[str]:
        text = get.text("transfer_input_files")
        keep = get.flag("preserve_relative_paths", default=False)
        listed: list[str] = []
        for name in values.split_list(text or ""):
            if is_address(name):
                listed.append(name)
                continue
            _refuse_cluster(name, "transfer_input_files", get)
            place = _join(directory, name)
            for below in self._tree(place, get.line("transfer_input_files")):
                key = _key(directory, name, below, keep=keep)
                self.sources[key] = os.path.normpath(os.path.join(place, below)) if below else place  # noqa: PTH118
                listed.append(key)
        return listed

    def _tree(self, place: str, line: int | None) -> list[str]:
        """Return the files below a directory, or [""] for a file; each place is looked at once."""
        found = self._trees.get((place, True))
        if found is None:
            below = self._access.tree(place, line=line)
            found = self._trees[place, True] = [""] if below is None else below
        return found

    def _requests(self, get: _Getter, spec: JobSpec) -> None:
        spec.request_cpus = get.number("request_cpus", default=1, least=1)
        if (gpus := get.number("request_gpus", default=0)) > 0:
            raise SubmitError(
                f"request_gpus = {gpus}: there are no GPUs here",
                line=get.line("request_gpus"),
                remedy="Remove it.",
            )
        spec.request_memory_mib = max(1, get.size("request_memory", unit="M", default=DEFAULT_MEMORY_MIB))
        spec.request_disk_kib = get.size("request_disk", unit="K", default=DEFAULT_DISK_KIB)
        spec.max_retries = get.number("max_retries", default=0)
        text = get.text("priority")
        if text:
            sign = -1 if text.startswith("-") else 1
            number = values.read_number(text.lstrip("+-"), name="priority", line=get.line("priority"))
            spec.priority = sign * number
        spec.on_hold = get.flag("hold", default=False)


class _Getter:
    """Values of commands under any of their spellings."""

    def __init__(self, macros: Macros) -> None:
        self._macros = macros

    def _spelling(self, name: str) -> str:
        return next((s for s in commands.spellings(name) if self._macros.has(s)), name)

    def text(self, name: str) -> str | None:
        return self._macros.value(self._spelling(name))

    def line(self, name: str) -> int | None:
        return self._macros.line(self._spelling(name))

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.text(name)
        return values.read_flag(text, name=name, line=self.line(name)) if text else default

    def number(self, name: str, *, default: int, least: int = 0) -> int:
        text = self.text(name)
        return values.read_number(text, name=name, line=self.line(name), least=least) if text else default

    def size(self, name: str, *, unit: str, default: int) -> int:
        text = self.text(name)
        return values.read_size(text, name=name, unit=unit, line=self.line(name)) if text else default


def _unquoted(text: str | None) -> str:
    text = (text or "").strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _name(text: str | None) -> str | None:
    name = _unquoted(text)
    return None if name in ("", "/dev/null") else name


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


def _remaps(get: _Getter) -> dict[str, str]:
    text = get.text("transfer_output_remaps")
    if not text:
        return {}
    line = get.line("transfer_output_remaps")
    remaps = values.read_remaps(text, line=line)
    for target in remaps.values():
        if is_address(target):
            raise SubmitError(
                f"an output cannot be sent to {target} by a remap",
                line=line,
                remedy="Copy it in the job, with vcp.",
            )
    return remaps


def _refuse_cluster(name: str, command: str, get: _Getter) -> None:
    if CLUSTER in name:
        raise SubmitError(
            f"{command} names a file after $(Cluster), which is known only after the submission",
            line=get.line(command),
            remedy="Name the file without it.",
        )
