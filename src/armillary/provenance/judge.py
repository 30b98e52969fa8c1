"""Compares two files, as a process of its own: `python -m armillary.provenance.judge`.

One line of JSON in: `{"a": …, "b": …, "relative": …, "absolute": …, "ignore": […]}`. Out: a comparison as JSON. It gets
no environment, writes no files and has little memory: what is compared was made by strangers.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from armillary.base.confined import confine
from armillary.crates.comparing import Tolerance, compare

MEMORY = 3 << 30


def main() -> int:
    """Compare what we are asked to, once."""
    confine(memory=MEMORY)
    asked = json.loads(sys.stdin.readline())
    tolerance = Tolerance(relative=asked["relative"], absolute=asked["absolute"], ignore=asked["ignore"])
    json.dump(asdict(compare(Path(asked["a"]), Path(asked["b"]), tolerance)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
