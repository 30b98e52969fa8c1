"""An agent as a real process against a platform in the test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from platform_double import IMAGE, PATIENCE, PlatformDouble

from armillary.batch.agent_archive import agent_source


class AgentProcess:
    """Starts agents that share one machine's state, and ends them by their process."""

    def __init__(self, *, directory: Path, platform: PlatformDouble) -> None:
        self.directory = directory
        self.scratch = directory / "scratch"
        self.state = directory / "state"
        self.settings: dict[str, Any] = {
            "url": platform.url,
            "bootstrap_token": "once",
            "image_sha512": IMAGE,
            "state_dir": str(self.state),
            "scratch_dir": str(self.scratch),
            "cpus": 2,
            "memory_mib": 512,
            "users": False,
            "retry_seconds": 0.02,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: Any) -> None:
        archive = self.directory / "agent.pyz"
        archive.write_bytes(agent_source())
        config = self.directory / "agent.json"
        config.write_text(json.dumps({**self.settings, **settings}))
        # -I -S: nothing of ours or of site-packages is importable, as in a user's own machine
        command = [sys.executable, "-I", "-S", str(archive), "--config", str(config)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)

    def wait(self) -> tuple[int, str]:
        assert self.process
        _, talk = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, talk.decode()

    def send(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.communicate(timeout=PATIENCE)
