"""User data of two authors: what a person typed, and what the platform adds so that its portal is let in."""

from __future__ import annotations

from email import message_from_string
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart

_KINDS = {
    "#!": "x-shellscript",
    "#cloud-config": "cloud-config",
    "#cloud-boothook": "cloud-boothook",
    "#include": "x-include-url",
    "## template: jinja": "jinja2",
}
"""How user data begins → what cloud-init calls it."""


def together(typed: str, script: str) -> str:
    """Return both as one MIME message, which cloud-init takes apart again; the script runs last, and alone if nothing was typed."""
    if not typed.strip():
        return f"#!/bin/sh\n{script}"
    whole = MIMEMultipart()
    whole.attach(_part(typed))
    whole.attach(_text(f"#!/bin/sh\n{script}", "x-shellscript", name="armillary-portal.sh"))
    return whole.as_string()


def _part(typed: str) -> Message:
    if typed.lower().startswith(("content-type:", "mime-version:")):
        return message_from_string(typed)
    kind = next((kind for start, kind in _KINDS.items() if typed.startswith(start)), "plain")
    return _text(typed, kind, name="user-data")


def _text(text: str, kind: str, *, name: str) -> Message:
    part = MIMENonMultipart("text", kind, charset="utf-8")
    # as it is: base64 within base64 would not leave room for what people may type
    part.add_header("Content-Transfer-Encoding", "8bit")
    part.add_header("Content-Disposition", "attachment", filename=name)
    part.set_payload(text)
    return part
