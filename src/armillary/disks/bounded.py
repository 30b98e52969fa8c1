"""Has an image read by a process of its own, and does not wait for it longer than it should take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from armillary.base.errors import Invalid, TooLarge
from armillary.disks.model import damaged

SECONDS = 1800.0
"""How long an image may take; one of 230 MB takes five."""


def read(
    path: Path,
    *,
    backing: Sequence[Path] = (),
    seconds: float = SECONDS,
    progress: Callable[[str], None] = lambda _: None,
) -> bytes:
    """Return the packed manifest of an image.

    Raises:
        Invalid: it cannot be read, or the reader died of it.
        TooLarge: `image_takes_too_long`.
    """
    asked = {"path": str(path.absolute()), "backing": [str(one.absolute()) for one in backing]}
    with subprocess.Popen(
        [sys.executable, "-m", "armillary.disks.reader"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd="/",
        start_new_session=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            reader.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        teller = threading.Thread(target=_tell, args=(reader, progress), daemon=True)
        teller.start()
        try:
            reader.stdin.write(json.dumps(asked).encode() + b"\n")
            reader.stdin.close()
            answer = reader.stdout.read()
            status = reader.wait()
        except BrokenPipeError:
            answer, status = b"", reader.wait()
        finally:
            timer.cancel()
            reader.kill()
            teller.join()
    if late.is_set():
        raise TooLarge(
            f"The image was not read within {seconds:g} seconds.",
            code="image_takes_too_long",
            facts={"seconds": seconds},
        )
    if status == 0:
        return answer
    if status == 1 and answer:
        said = json.loads(answer)
        raise Invalid(said["message"], code=said["code"], facts=said["facts"], remedy=said["remedy"])
    raise damaged("the program that reads it died", exit_status=status)


def _tell(reader: subprocess.Popen[bytes], progress: Callable[[str], None]) -> None:
    assert reader.stderr is not None
    for line in reader.stderr:
        progress(line.decode(errors="replace").strip()[:300])
