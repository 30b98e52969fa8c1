"""Under which names bytes are kept."""

from __future__ import annotations


def volume_name(volume_id: str) -> str:
    """Of a volume."""
    return f"volume-{volume_id}"


def snapshot_name(snapshot_id: str) -> str:
    """Of a snapshot."""
    return f"snapshot-{snapshot_id}"


def backup_name(backup_id: str) -> str:
    """Of a backup."""
    return f"backup-{backup_id}"


def moment_name(for_what: str) -> str:
    """Of a copy that is only needed while something else is made from it."""
    return f"moment-{for_what}"
