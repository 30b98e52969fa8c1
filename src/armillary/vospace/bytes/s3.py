"""Bytes in a bucket of S3, or of what speaks its language."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

from armillary.base.errors import Unavailable
from armillary.base.ids import new_hex
from armillary.vospace.bytes.objects import FAILURES
from armillary.vospace.bytes.pieces import PiecedBytes

if TYPE_CHECKING:
    from obstore.store import S3Config

_PATIENCE = timedelta(seconds=20)
"""for all tries of one request together; whoever uploads or downloads waits as long"""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Where the bytes are. What is empty comes from the environment (`AWS_…`) or the machine's own role."""

    name: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    def __str__(self) -> str:
        """As in the settings."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")


class S3Bytes(PiecedBytes):
    """See `ports.ByteStore`. What has been opened for reading may break off when it is deleted meanwhile."""

    def __init__(self, bucket: Bucket) -> None:
        """Keep bytes in a bucket that exists. Nothing is asked of it yet: see `check`."""
        self._bucket = bucket
        config: S3Config = {}
        if bucket.endpoint:
            config["endpoint"] = bucket.endpoint
        if bucket.region:
            config["region"] = bucket.region
        if bucket.access_key:
            config["access_key_id"] = bucket.access_key
            config["secret_access_key"] = bucket.secret_key
        super().__init__(
            S3Store(
                bucket.name,
                prefix=bucket.prefix or None,
                config=config,
                client_options={
                    "allow_http": bucket.endpoint.startswith("http://"),
                    "connect_timeout": timedelta(seconds=5),
                    # The whole of a request; the longest is a piece on its way in, or a range on its way to a slow reader.
                    "timeout": timedelta(hours=12),
                    "read_timeout": timedelta(seconds=60),
                },
                retry_config={"max_retries": 4, "retry_timeout": _PATIENCE},
            )
        )

    def check(self) -> None:
        """Write, read and delete an object.

        Raises:
            Unavailable: one of it is refused, or nobody answers.
        """
        probe = f"probe/{new_hex()}"
        try:
            obstore.put(self._store, probe, b"armillary", use_multipart=False)
            try:
                obstore.get(self._store, probe).bytes()
            finally:
                obstore.delete(self._store, probe)
        except FAILURES as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unavailable:
        said = str(error)
        if isinstance(error, FileNotFoundError) or "NoSuchBucket" in said:
            what, remedy = "does not exist", "make the bucket, or mend [vospace] bytes in armillary.toml"
        elif isinstance(
            error, (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
        ):
            what = "may not be written to with these credentials"
            remedy = "mend [vospace] s3_access_key and s3_secret_key, or what this key may do with the bucket"
        else:
            what = "does not answer as S3 does"
            remedy = "look whether the server of [vospace] s3_endpoint runs and can be reached from here"
        # What the library said goes no further: it may quote a request with its signature.
        return Unavailable(
            f"the bucket {self._bucket} {what}",
            code="bytes_unreachable",
            facts={"bucket": str(self._bucket), "endpoint": self._bucket.endpoint or "AWS"},
            remedy=remedy,
        )
