"""`armillary admin` with all its commands: importing a room of them adds them."""

from armillary.cli import announcing, looking_back, running
from armillary.cli.administering import admin

__all__ = ["admin", "announcing", "looking_back", "running"]
