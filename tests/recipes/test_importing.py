"""Images of others are kept when they are what they say, and stand on their own."""

from __future__ import annotations

import hashlib
import lzma
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from armillary.base.errors import Invalid, NotFound, PreconditionFailed, Unavailable
from armillary.recipes.importing import import_image


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.qcow2"
    qemu_img("create", "-f", "qcow2", path, "10M")
    return path


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def left_in(cache: Path) -> list[str]:
    return [path.name for path in (cache / "images").iterdir() if not path.name.endswith(".lock")]


def test_an_image_is_imported_once(qcow2: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    image = import_image(qcow2, sha256=digest(qcow2).upper(), cache=cache)
    assert (image.name, image.disk_format, image.virtual_size) == ("cloud", "qcow2", 10 * 2**20)
    assert image.sha512 == hashlib.sha512(qcow2.read_bytes()).hexdigest()
    assert image.path.read_bytes() == qcow2.read_bytes()
    wanted = digest(qcow2)
    qcow2.unlink()
    assert import_image(qcow2, sha256=wanted, cache=cache).reused


def test_a_raw_image_is_imported_from_the_web(web: str, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(b"\xeb\x63" + bytes(1022))
    image = import_image(f"{web}/disk.raw", sha256=digest(raw), cache=tmp_path / "cache", name="mine")
    assert (image.name, image.disk_format, image.size) == ("mine", "raw", 1024)
    assert image.path.name == "disk.raw"


def test_another_digest_leaves_nothing(qcow2: Path, tmp_path: Path) -> None:
    with pytest.raises(PreconditionFailed) as refusal:
        import_image(qcow2, sha256="0" * 64, cache=tmp_path / "cache")
    assert refusal.value.facts == {"expected": "0" * 64, "got": digest(qcow2)}
    assert left_in(tmp_path / "cache") == []


def test_an_image_with_a_backing_file_is_refused(qcow2: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", qcow2, "-F", "qcow2", overlay)
    with pytest.raises(Invalid, match="backing file"):
        import_image(overlay, sha256=digest(overlay), cache=tmp_path / "cache")


def test_an_image_with_an_external_data_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "apart.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/data.raw", image, "1M")
    with pytest.raises(Invalid, match="external file"):
        import_image(image, sha256=digest(image), cache=tmp_path / "cache")


def test_other_formats_are_refused_with_the_way_to_convert_them(tmp_path: Path) -> None:
    vmdk = tmp_path / "disk.vmdk"
    qemu_img("create", "-f", "vmdk", vmdk, "1M")
    with pytest.raises(Invalid, match="vmdk") as refusal:
        import_image(vmdk, sha256=digest(vmdk), cache=tmp_path / "cache")
    assert "qemu-img convert" in refusal.value.remedy


def test_a_packed_image_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "disk.raw.xz"
    packed.write_bytes(lzma.compress(bytes(1024)))
    with pytest.raises(Invalid, match="packed with xz"):
        import_image(packed, sha256=digest(packed), cache=tmp_path / "cache")


def test_what_is_not_there_or_out_of_reach_is_said(web: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        import_image(tmp_path / "nothing", sha256="0" * 64, cache=tmp_path / "cache")
    with pytest.raises(NotFound, match="404"):
        import_image(f"{web}/nothing", sha256="0" * 64, cache=tmp_path / "cache")
    with pytest.raises(Unavailable):
        import_image("http://127.0.0.1:1/x", sha256="0" * 64, cache=tmp_path / "cache")


def test_a_digest_that_is_none_is_refused(qcow2: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="SHA-256"):
        import_image(qcow2, sha256="abc", cache=tmp_path / "cache")
