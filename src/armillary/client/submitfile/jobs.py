"""Jobs out of the macros as they stand for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from armillary.client.submitfile import commands, policy, values
from armillary.client.submitfile.access import Access
from armillary.client.submitfile.getter import Getter
from armillary.client.submitfile.inputs import Inputs
from armillary.client.submitfile.macros import Macros
from armillary.client.submitfile.model import JobSpec, Note, SubmitError, is_address

_SECRET = re.compile(r"pass|secret|token|credential|key|auth|cookie|proxy", re.IGNORECASE)
_WHEN = ("ON_EXIT", "ON_EXIT_OR_EVICT", "ON_SUCCESS")
Part = Callable[[Getter, JobSpec], None]


class JobMaker:
    """Makes the jobs of one submission. What does not vary among the jobs of a queue statement is made once."""

    def __init__(self, *, access: Access, warn: Callable[[Note], None]) -> None:
        self.inputs = Inputs(access=access)
        self.shared: dict[str, Any] = {}
        self._access = access
        self._warn = warn
        self._parts: tuple[Part, ...] = (
            self._universe,
            self.inputs.executable,
            self._arguments,
            self._environment,
            self.inputs.directory,
            self.inputs.standard_input,
            *(partial(_named, name) for name in ("output", "error", "log")),
            _streams,
            self.inputs.files,
            self._transfer,
            lambda get, spec: policy.requests(get, spec, warn),
            policy.retries,
            policy.policy,
            lambda get, spec: policy.machine(get, spec, warn),
            policy.limits,
            policy.attributes,
        )

    def check_commands(self, macros: Macros, names: Sequence[str]) -> None:
        """Refuse what cannot be honoured, and warn of what has no effect."""
        for name in names:
            known, line = commands.canonical(name), macros.line(name)
            if (why := commands.refusal(known)) and not macros.uses(name):
                raise SubmitError(
                    f"{name} is not supported: {why}", line=line, remedy="Remove it.", code="not_supported"
                )
            if why := commands.NOT_HONOURED.get(known):
                self._warn(Note(message=f"{name} has no effect: {why}", line=line))
            elif why := commands.CANFAR.get(known):
                self._warn(Note(message=f"+{macros.written(name)[3:]} has no effect: {why}", line=line))

    def check_unused(self, macros: Macros, names: Sequence[str]) -> None:
        """Warn of what is neither a command nor used by one: perhaps a slip of the pen."""
        for name in names:
            if not commands.known(commands.canonical(name)) and not macros.uses(name):
                meant = commands.suggestion(name)
                hint = f"; did you mean {meant}?" if meant else ""
                message = f"{name} is no command, and nothing uses it{hint}"
                self._warn(Note(message=message, line=macros.line(name)))

    def begin(self, macros: Macros) -> Maker:
        """Return what makes the jobs of a queue statement."""
        return Maker(parts=self._parts, get=Getter(macros), share=self._share)

    def _share(self, get: Getter) -> None:
        for name, value in policy.cluster(get).items():
            before = self.shared.setdefault(name, value)
            if before != value and name != "batch_name":
                raise SubmitError(
                    f"{name} is one for all jobs of a file: {before} or {value}",
                    line=get.line(name),
                    remedy="Submit in several files.",
                )

    def _universe(self, get: Getter, spec: JobSpec) -> None:
        del spec
        universe = get.word("universe").lower()
        if universe not in {"", "vanilla", "5"}:
            raise SubmitError(
                f"the {universe[:60]} universe is not supported: jobs run in machines made from your image",
                line=get.line("universe"),
                remedy="Write universe = vanilla, or leave the line out.",
                code="universe",
            )
        if get.word("should_transfer_files").lower() in {"no", "false"}:
            message = "should_transfer_files = no has no effect: workers share no file system with you"
            self._warn(Note(message=message, line=get.line("should_transfer_files")))

    def _arguments(self, get: Getter, spec: JobSpec) -> None:
        text = get.text("arguments")
        if text is not None:
            spec.arguments = values.split_arguments(text, line=get.line("arguments"))
        elif not get.text("shell"):
            spec.arguments = []

    def _environment(self, get: Getter, spec: JobSpec) -> None:
        made: dict[str, str] = {}
        getenv, line = get.word("getenv") or "false", get.line("getenv")
        if getenv.lower() in {"true", "yes", "t", "y", "1", "*"}:
            raise SubmitError(
                f"getenv = {getenv} would copy your whole environment, secrets and all, into the job",
                line=line,
                remedy="Name the variables: getenv = LANG, MY_VARIABLE",
                code="getenv",
            )
        if getenv.lower() not in {"false", "no", "f", "n", "0"}:
            patterns = [word for word in re.split(r"[\s,;]+", getenv) if word]
            made.update(self._access.variables(patterns, line=line))
            if secret := [name for name in made if _SECRET.search(name)]:
                message = f"getenv copies {', '.join(secret[:5])} into the job, where others may read it"
                self._warn(Note(message=f"{message}. Leave out with !{secret[0]}", line=line))
        if (text := get.text("environment")) is not None:
            made.update(values.read_environment(text, line=get.line("environment")))
        spec.environment = made

    def _transfer(self, get: Getter, spec: JobSpec) -> None:
        text = get.text("transfer_output_files")
        listed = [n for n in values.split_list(text or "") if n not in ("/dev/null", '""')]
        spec.transfer_output_files = listed if text else None
        spec.transfer_output_remaps = {}
        if text := get.text("transfer_output_remaps"):
            name = "transfer_output_remaps"
            spec.transfer_output_remaps = values.read_remaps(text, line=get.line(name))
            for target in spec.transfer_output_remaps.values():
                if is_address(target):
                    _refuse_address(get, name, target)
        when = get.word("when_to_transfer_output").upper() or "ON_EXIT"
        if when not in _WHEN:
            raise SubmitError(
                f"when_to_transfer_output = {when[:60]} is none of {', '.join(_WHEN)}",
                line=get.line("when_to_transfer_output"),
                remedy="Write when_to_transfer_output = ON_EXIT, or leave the line out.",
            )
        spec.when_to_transfer_output = when
        spec.preserve_relative_paths = get.flag("preserve_relative_paths")
        spec.checkpoint_exit_code = get.optional_number("checkpoint_exit_code", most=255)
        spec.transfer_checkpoint_files = values.split_list(get.text("transfer_checkpoint_files") or "")


class Maker:
    """The jobs of one queue statement: the first is made whole, of the others only what varies."""

    def __init__(self, *, parts: tuple[Part, ...], get: Getter, share: Callable[[Getter], None]) -> None:
        self._parts = parts
        self._get = get
        self._share = share
        self._varying: list[Part] = []
        self._first: JobSpec | None = None

    def make(self, *, proc: int) -> JobSpec:
        """Return the next job. Raises SubmitError."""
        if self._first is None:
            self._first = spec = JobSpec(proc=proc)
            for part in self._parts:
                self._get.asked.clear()
                part(self._get, spec)
                if self._get.varies(self._get.asked):
                    self._varying.append(part)
            self._get.asked.clear()
            self._share(self._get)
            return spec
        spec = self._first.like(proc=proc)
        for part in self._varying:
            part(self._get, spec)
        return spec


def _named(name: str, get: Getter, spec: JobSpec) -> None:
    found = get.file(name)
    if found and is_address(found):
        _refuse_address(get, name, found)
    setattr(spec, name, found)


def _streams(get: Getter, spec: JobSpec) -> None:
    spec.stream_output, spec.stream_error = get.flag("stream_output"), get.flag("stream_error")


def _refuse_address(get: Getter, name: str, address: str) -> None:
    raise SubmitError(
        f"an output cannot be sent to {address[:200]} by {name}",
        line=get.line(name),
        remedy="Copy it in the job, with vcp.",
    )
