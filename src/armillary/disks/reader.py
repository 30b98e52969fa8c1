"""Reads one image, as a process of its own: `python -m armillary.disks.reader`.

One line of JSON in: `{"path": …, "backing": […]}`. Out: a packed manifest and exit status 0, or a refusal as JSON and
status 1; how far it is, a line each, on the other stream. It gets no environment, writes no files, opens none but
those that it was told, and has little memory: what is read was made by strangers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from armillary.base.confined import confine
from armillary.base.errors import ArmillaryError, Invalid
from armillary.disks.manifests import packed
from armillary.disks.reading import read_image

MEMORY = 3 << 30


def main() -> int:
    """Read what we are asked to, once."""
    confine(memory=MEMORY)
    asked = json.loads(sys.stdin.readline())
    try:
        manifest = read_image(
            Path(asked["path"]), backing=[Path(path) for path in asked["backing"]], progress=_tell
        )
        sys.stdout.buffer.write(packed(manifest))
        return 0
    except MemoryError:
        error: ArmillaryError = Invalid("The image needs more memory than it may have.", code="image_too_big")
    except OSError as problem:
        error = Invalid(f"The image cannot be read: {problem.strerror}.", code="image_unreadable")
    except ArmillaryError as refusal:
        error = refusal
    sys.stdout.write(json.dumps(error.as_dict()["error"]))
    return 1


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
