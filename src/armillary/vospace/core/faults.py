"""The faults of VOSpace 2.1, by our codes."""

from __future__ import annotations

import re

from armillary.base.errors import ArmillaryError

_FAULTS = {
    "node_not_found": "NodeNotFound",
    "container_not_found": "ContainerNotFound",
    "link_found": "LinkFound",
    "duplicate_node": "DuplicateNode",
    "permission_denied": "PermissionDenied",
    "host_not_allowed": "PermissionDenied",
    "unauthorized": "NotAuthenticated",
    "invalid_uri": "InvalidURI",
    "invalid_argument": "InvalidArgument",
    "type_not_supported": "TypeNotSupported",
    "view_not_supported": "ViewNotSupported",
    "protocol_not_supported": "ProtocolNotSupported",
    "operation_not_supported": "OperationNotSupported",
    "node_locked": "NodeLocked",
    "node_frozen": "NodeLocked",
    "quota_exceeded": "QuotaExceeded",
    "checksum_mismatch": "TransferFailed",
    "truncated": "TransferFailed",
    "transfer_failed": "TransferFailed",
    "piece_mismatch": "TransferFailed",
    "offset_mismatch": "TransferFailed",
    "upload_taken_over": "TransferFailed",
    "upload_busy": "TransferFailed",
    "upload_not_found": "NodeNotFound",
}
_BEHIND_NAME = " - "
_BY_STATUS = {401: "NotAuthenticated", 403: "PermissionDenied", 404: "NodeNotFound"}
"""Refusals of other subjects: an expired certificate, a token that is not known."""


def fault_name(error: ArmillaryError) -> str:
    """Return the fault of the standard that a refusal is."""
    other = "InternalFault" if error.status >= 500 else _BY_STATUS.get(error.status, "InvalidArgument")
    return _FAULTS.get(error.code, other)


def fault_text(error: ArmillaryError) -> str:
    """Return the fault's representation: its name, what was wrong, and the remedy."""
    return representation(fault_name(error), f"{error.message} {error.remedy}".strip())


def representation(name: str, text: str) -> str:
    """Put the name of a fault before its text. The standard wants white space behind the bare name."""
    return f"{name}{_BEHIND_NAME}{text}"


def summary(fault: str) -> str:
    """Return a fault's representation as the summary of a job has it: the name in words."""
    name, _, text = fault.partition(_BEHIND_NAME)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) + (f": {text}" if text else "")
