"""The very packages of a lock: fetched by their digests, and handed to the installer as a mirror of them alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from armillary.base.errors import NotFound
from armillary.recipes.lock import Lock, Piece
from armillary.recipes.mirror import APT_HELPER
from armillary.recipes.model import BuildFailed, Progress
from armillary.recipes.run import run, tool
from armillary.recipes.wheels import fetch_wheel


def fetch(lock: Lock, *, folder: Path, mirrors: Sequence[str], progress: Progress) -> None:
    """Have every package and wheel of a lock in `folder`; what is there with the right digest is not fetched.

    Args:
        lock: names them.
        folder: where they are and come to.
        mirrors: URLs of mirrors that are asked first, before the addresses in the lock.
        progress: is told how many are missing.

    Raises:
        NotFound: `packages_gone`, with those that no mirror has any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the lock's own addresses twice: among some hundred files one may stumble
    places = [*(mirror.rstrip("/") for mirror in mirrors), None, None]
    for place in places:
        missing = list(_missing(lock.packages, folder))
        if missing:
            progress(f"fetching {len(missing)} packages by their digests")
            _download(missing, lock, place, folder)
    for wheel in _missing(lock.wheels, folder):
        progress(f"fetching {wheel.file}")
        fetch_wheel(wheel.file, wheel.sha256, python=lock.recipe.python, folder=folder)
    gone = [piece.file for piece in _missing([*lock.packages, *lock.wheels], folder)]
    if gone:
        raise NotFound(
            f"{len(gone)} of the packages that the image was made of are nowhere to be had",
            code="packages_gone",
            facts={"gone": gone, "of": len(lock.packages) + len(lock.wheels)},
            remedy=f"Name a mirror that keeps old packages (--mirror), or put these files into {folder}",
        )


def _missing(pieces: Iterable[Piece], folder: Path) -> Iterable[Piece]:
    for piece in pieces:
        path = folder / piece.file
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != piece.sha256:
            path.unlink(missing_ok=True)
            yield piece


def _download(pieces: Sequence[Piece], lock: Lock, mirror: str | None, folder: Path) -> None:
    asked: list[str] = []
    for piece in pieces:
        base = next((s.uri.rstrip("/") for s in lock.sources if piece.uri.startswith(s.uri)), "")
        uri = f"{mirror}{piece.uri.removeprefix(base)}" if mirror and base else piece.uri
        asked += [uri, str(folder / piece.file), f"SHA256:{piece.sha256}"]
    try:
        run([APT_HELPER, "download-file", *asked], what="fetching packages")
    except BuildFailed:
        return  # some are not there; which, is looked at file by file


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def mirror_of(lock: Lock, *, folder: Path, work: Path) -> Generator[str]:
    """Serve the packages of a lock on the loopback, as long as this lasts; the value is a line for apt.

    Over HTTP and not as files, because an installer in a user namespace need not see into this user's directories.
    The packages were held against the lock, so that no signature is asked for.
    """
    served = work / "served"
    served.mkdir()
    index = "\n".join(_stanza(piece, folder / piece.file, served) for piece in lock.packages)
    (served / "Packages").write_text(index, encoding="utf-8")
    told = index.encode()
    (served / "Release").write_text(
        f"Suite: {lock.recipe.suite}\nCodename: {lock.recipe.suite}\nDate: Thu, 01 Jan 1970 00:00:00 UTC\n"
        f"SHA256:\n {hashlib.sha256(told).hexdigest()} {len(told)} Packages\n",
        encoding="utf-8",
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(served))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"deb [trusted=yes] http://127.0.0.1:{server.server_port}/ ./"
        finally:
            server.shutdown()
            thread.join()


def _stanza(piece: Piece, path: Path, served: Path) -> str:
    # under its digest: names of packages have characters that stand for others in addresses
    name = f"{piece.sha256}.deb"
    (served / name).symlink_to(path.absolute())
    control = run([tool("dpkg-deb"), "--field", str(path)], what="reading a package").strip()
    return f"{control}\nFilename: ./{name}\nSize: {path.stat().st_size}\nSHA256: {piece.sha256}\n"
