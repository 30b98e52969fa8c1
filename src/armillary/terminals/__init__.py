"""Terminals and screens for browsers, as others made them; the cloud's console pages and the portal serve the same files."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
PARTS = ("xterm", "novnc")
"""Its folders; see README.md there for what they are, and under which licences."""
