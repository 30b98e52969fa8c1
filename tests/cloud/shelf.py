"""Short ways to speak to block storage."""

from __future__ import annotations

from typing import Any

ROOM = "/volume/v3"


class Shelf:
    """One user's volumes, at a microversion of Cinder."""

    def __init__(self, user: Any, version: str = "3.70") -> None:
        self.user = user
        self.version = version

    def call(self, method: str, path: str, body: Any = None) -> Any:
        version = {"OpenStack-API-Version": f"volume {self.version}"}
        return self.user.call(method, f"{ROOM}{path}", body, **version)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.call(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400) -> str:
        """The message of a refusal."""
        answer = self.call(method, path, body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        (fault,) = answer.json().values()
        return fault["message"]

    def begin(self, kind: str = "volume", **asked: Any) -> str:
        """Ask for a thing, and return its id without waiting."""
        if kind == "volume" and not asked.keys() & {"snapshot_id", "source_volid", "backup_id"}:
            asked.setdefault("size", 1)
        return self.ok("POST", f"/{kind}s", {kind: asked})[kind]["id"]

    def make(self, kind: str = "volume", **asked: Any) -> str:
        """Ask for a thing, wait for what comes of it, and return its id."""
        thing_id = self.begin(kind, **asked)
        self.user.stage.settle()
        return thing_id

    def show(self, thing_id: str, kind: str = "volume") -> Any:
        return self.ok("GET", f"/{kind}s/{thing_id}")[kind]

    def status(self, thing_id: str, kind: str = "volume") -> str:
        answer = self.call("GET", f"/{kind}s/{thing_id}")
        return answer.json()[kind]["status"] if answer.status_code == 200 else "gone"

    def act(self, volume_id: str, action: str, **argument: Any) -> Any:
        return self.call("POST", f"/volumes/{volume_id}/action", {action: argument})

    def acted(self, volume_id: str, action: str, **argument: Any) -> None:
        """Let an action be done, and wait for what comes of it."""
        answer = self.act(volume_id, action, **argument)
        assert answer.status_code in (200, 202), answer.text
        self.user.stage.settle()

    def act_refused(self, volume_id: str, action: str, *, status: int = 400, **argument: Any) -> str:
        return self.refused("POST", f"/volumes/{volume_id}/action", {action: argument}, status=status)

    def names(self, path: str) -> list[str]:
        (found,) = [
            value
            for key, value in self.ok("GET", path).items()
            if isinstance(value, list) and "_links" not in key
        ]
        return [item["name"] for item in found]

    def begins(self, volume_id: str, length: int = 5) -> bytes:
        """The first bytes of a volume, as the fake disks keep them."""
        with self.user.stage.disks.path(f"volume-{volume_id}").open("rb") as file:
            return file.read(length)

    def write(self, volume_id: str, content: bytes) -> None:
        """What a server would do to a volume."""
        with self.user.stage.disks.path(f"volume-{volume_id}").open("rb+") as file:
            file.write(content)
