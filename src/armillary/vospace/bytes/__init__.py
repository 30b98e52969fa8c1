"""Where bytes are: a folder, a bucket of S3, or memory for tests."""

from armillary.vospace.bytes.folder import FolderBytes
from armillary.vospace.bytes.memory import MemoryBytes
from armillary.vospace.bytes.pieces import PiecedBytes
from armillary.vospace.bytes.s3 import Bucket, S3Bytes

__all__ = ["Bucket", "FolderBytes", "MemoryBytes", "PiecedBytes", "S3Bytes"]
