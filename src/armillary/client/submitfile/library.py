"""HTCondor's own library, where there is one."""

from __future__ import annotations

import importlib
import os
from typing import Any

from armillary.client.submitfile.model import SubmitError


def htcondor2() -> Any:
    """Return the module that expands macros. Raises SubmitError where the platform has none."""
    return _load("htcondor2")


def classad2() -> Any:
    """Return the module that reads expressions. Raises SubmitError where the platform has none."""
    return _load("classad2")


def _load(name: str) -> Any:
    # the library refuses to load without any configuration
    os.environ.setdefault("CONDOR_CONFIG", "/dev/null")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SubmitError(
            "submit files are read with HTCondor's library, which does not run on this platform",
            remedy="Submit from Linux, or upload the submit file in the portal.",
            code="no_htcondor",
        ) from error
