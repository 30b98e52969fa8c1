"""Opens what the platform keeps its things in, as the settings say, and refuses when it cannot be used."""

from __future__ import annotations

from armillary.app.settings import Settings
from armillary.base.errors import Unavailable
from armillary.vospace.bytes import Bucket, FolderBytes, S3Bytes


def open_bytes(settings: Settings) -> FolderBytes | S3Bytes:
    """Return where the bytes of VOSpace are, after a try.

    Raises:
        Unavailable: they could not be written there.
    """
    table = settings.vospace
    if table.bytes == "folder":
        folder = settings.home / "vospace"
        try:
            return FolderBytes(folder)
        except OSError as error:
            raise Unavailable(
                f"{folder} cannot be used: {error.strerror}",
                code="bytes_unreachable",
                facts={"folder": str(folder)},
                remedy="make it writable for you, or make room on its disk",
            ) from error
    name, _, prefix = table.bytes.removeprefix("s3://").partition("/")
    bucket = Bucket(
        name=name,
        prefix=prefix.strip("/"),
        endpoint=table.s3_endpoint.rstrip("/"),
        region=table.s3_region,
        access_key=table.s3_access_key,
        secret_key=table.s3_secret_key.get_secret_value(),
    )
    store = S3Bytes(bucket)
    store.check()
    return store
