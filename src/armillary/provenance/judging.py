"""Has two files of strangers compared by a process of its own, and does not wait for it longer than it should take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from armillary.crates.comparing import Comparison, Tolerance, Way

SECONDS = 120.0
"""How long two files may take; astropy compares FITS files of 256 MiB in some ten."""


def compare_apart(a: Path, b: Path, tolerance: Tolerance, *, seconds: float = SECONDS) -> Comparison:
    """Compare two files as `crates.comparing.compare`. Files that the process dies of differ, and it says so."""
    asked = {
        "a": str(a.absolute()),
        "b": str(b.absolute()),
        "relative": tolerance.relative,
        "absolute": tolerance.absolute,
        "ignore": list(tolerance.ignore),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "armillary.provenance.judge"],
            input=json.dumps(asked).encode() + b"\n",
            capture_output=True,
            env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"},
            cwd="/",
            timeout=seconds,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _unjudged(f"they could not be compared within {seconds:g} seconds")
    if done.returncode != 0:
        return _unjudged("they could not be compared: what is in them was too much")
    found = json.loads(done.stdout)
    return Comparison(
        identical=found["identical"],
        alike=found["alike"],
        way=Way(found["way"]),
        differences=found["differences"],
        count=found["count"],
    )


def _unjudged(why: str) -> Comparison:
    return Comparison(
        identical=False, alike=False, way=Way.BYTES, differences=[f"other bytes; {why}"], count=1
    )
