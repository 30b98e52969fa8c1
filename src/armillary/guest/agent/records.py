"""What the agent remembers across its own death: its session, and how jobs ended that nobody has acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

from armillary.guest.agent.basics import Json, say, write_private


class Book:
    """A directory of small files that only we may read."""

    def __init__(self, *, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def belongs_to(self, config: Json, scratch: Path) -> None:
        """Forget everything when it was written by another worker: this machine is a copy of that one's disk."""
        who = hashlib.sha256(f"{config['url']} {config['bootstrap_token']}".encode()).hexdigest()
        mark = self._directory / "identity"
        try:
            known = mark.read_text()
        except OSError:
            known = ""
        if known == who:
            return
        if known:
            say("this machine is a copy of another worker: what that one left is thrown away")
        for path in (*self._directory.iterdir(), *(scratch.iterdir() if known else ())):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        write_private(mark, who)

    def keep_session(self, session: Json) -> None:
        """Write down who we are to the platform."""
        write_private(self._directory / "session.json", json.dumps(session))

    def session(self) -> Json | None:
        """Return who we were to the platform, if we were anybody."""
        try:
            return json.loads((self._directory / "session.json").read_text())
        except (OSError, ValueError):
            return None

    def keep(self, key: str, record: Json) -> None:
        """Write down how a job ended, before anybody is told. It outlives us; a machine that dies takes the files along."""
        write_private(self._file(key), json.dumps(record), durable=False)

    def has(self, key: str) -> bool:
        """Whether the end of this job is written down and not yet acknowledged."""
        return self._file(key).exists()

    def drop(self, key: str) -> None:
        """Forget an acknowledged end."""
        with contextlib.suppress(OSError):
            self._file(key).unlink()

    def waiting(self) -> dict[str, Json]:
        """Return the ends that are not acknowledged, by key."""
        found: dict[str, Json] = {}
        for file in sorted(self._directory.glob("finish-*.json")):
            try:
                found[file.name[len("finish-") : -len(".json")]] = json.loads(file.read_text())
            except (OSError, ValueError) as error:
                say(f"unreadable record {file.name}: {error}")
                file.unlink(missing_ok=True)
        return found

    def _file(self, key: str) -> Path:
        return self._directory / f"finish-{key}.json"
