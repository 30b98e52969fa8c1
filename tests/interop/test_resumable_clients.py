"""Uploads that go on: a stock tus client, and vcp as it sends files of more than 5 GiB."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from space_clients import Space, Terminal
from tusclient.client import TusClient

pytestmark = pytest.mark.interop

MIB = 1 << 20


@pytest.fixture
def tus(space: Space) -> TusClient:
    return TusClient(
        f"http://{space.plain_host}/vault/uploads/home/ada",
        headers={"Authorization": f"Bearer {space.token('vospace:write', 'vospace:read')}"},
    )


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    path = tmp_path / "cube.fits"
    path.write_bytes(os.urandom(5 * MIB + 17))
    return path


def test_a_stock_tus_client_sends_a_file_in_pieces_with_checksums(
    space: Space, tus: TusClient, cube: Path
) -> None:
    notes = {"filename": "tus one.fits", "md5": hashlib.md5(cube.read_bytes()).hexdigest()}
    tus.uploader(str(cube), chunk_size=2 * MIB, metadata=notes, upload_checksum=True).upload()
    assert space.read("/home/ada/tus one.fits") == cube.read_bytes()


def test_another_tus_client_goes_on_where_the_first_was_broken_off(
    space: Space, tus: TusClient, cube: Path
) -> None:
    first = tus.uploader(str(cube), chunk_size=2 * MIB, metadata={"filename": "tus two.fits"})
    first.upload_chunk()
    assert first.offset == 2 * MIB
    assert not space.exists("/home/ada/tus two.fits")
    second = tus.uploader(str(cube), url=first.url)
    assert second.offset == 2 * MIB
    second.upload()
    assert space.read("/home/ada/tus two.fits") == cube.read_bytes()


def test_a_connection_that_breaks_in_the_middle_of_a_piece_costs_only_what_was_on_its_way(
    space: Space, tus: TusClient, cube: Path
) -> None:
    uploader = tus.uploader(str(cube), metadata={"filename": "tus three.fits"})
    url = uploader.create_url()

    def half() -> object:
        with cube.open("rb") as data:
            yield data.read(3 * MIB)
        raise ConnectionResetError

    headers = {
        **uploader.get_headers(),
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    with pytest.raises((requests.ConnectionError, ConnectionResetError)):
        requests.patch(url, data=half(), headers=headers, timeout=30)
    # What was on its way may still come in after the client has asked how far it got: then it asks again.
    second = tus.uploader(str(cube), url=url, retries=5, retry_delay=1)
    second.upload()
    assert space.read("/home/ada/tus three.fits") == cube.read_bytes()


def test_vcp_sends_a_file_in_segments(space: Space, ada: Terminal, cube: Path) -> None:
    # The client as it is, but for what it takes for a large file: nobody wants to send 5 GiB in a test.
    program = (
        "from cadcutils.net import ws; import sys\n"
        f"ws.FILE_SEGMENT_THRESHOLD = {MIB}; ws.PREFERRED_SEGMENT_SIZE = {2 * MIB}\n"
        "from vos.commands.vcp import vcp\n"
        "sys.argv[0] = 'vcp'; vcp()"
    )
    words = [sys.executable, "-c", program, "-k", str(cube), "vos:home/ada/segments.fits"]
    done = subprocess.run(words, env=ada.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "transaction" in done.stdout
    assert space.read("/home/ada/segments.fits") == cube.read_bytes()
