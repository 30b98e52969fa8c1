"""Where bytes are: a folder, or memory for tests. One library serves both, and S3 later."""

from armillary.vospace.bytes.folder import FolderBytes
from armillary.vospace.bytes.memory import MemoryBytes

__all__ = ["FolderBytes", "MemoryBytes"]
