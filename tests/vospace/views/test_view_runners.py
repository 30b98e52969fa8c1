"""Views made in processes of their own: hostile files do no harm."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from made_fits import Memory, Sparse, block, card, opened, ramp, view, written

from armillary.base.errors import ArmillaryError, Invalid, NotFound, TooLarge, Unavailable
from armillary.vospace.views.overlap import NoOverlapError
from armillary.vospace.views.runners import Limits, ProcessRunner
from armillary.vospace.views.structure import walk

MiB = 1 << 20


@pytest.fixture(scope="module")
def runner() -> Iterator[ProcessRunner]:
    runner = ProcessRunner(Limits(memory=512 * MiB, cpu_seconds=2, silence_seconds=20))
    yield runner
    runner.close()


def made(runner: ProcessRunner, file: bytes, *pairs: tuple[str, str]) -> bytes:
    return b"".join(runner.run(Memory(file), pairs))


@pytest.mark.parametrize("pair", [("SUB", "[5:9,3:4]"), ("META", "true"), ("PREVIEW", "32")])
def test_a_process_makes_what_we_would_make(runner: ProcessRunner, pair: tuple[str, str]) -> None:
    file = written(fits.PrimaryHDU(ramp(100, 120)))
    assert made(runner, file, pair) == view(file, pair)


def test_refusals_come_back_whole(runner: ProcessRunner) -> None:
    file = written(fits.PrimaryHDU(ramp(10, 10)))
    with pytest.raises(NotFound) as refusal:
        made(runner, file, ("SUB", "[7]"))
    assert (refusal.value.code, refusal.value.facts) == ("hdu_not_found", {"hdu": "7"})
    with pytest.raises(NoOverlapError):
        made(runner, file, ("SUB", "[70:80,1:2]"))
    with pytest.raises(Invalid) as invalid:
        made(runner, b"nonsense", ("SUB", "[1:2]"))
    assert invalid.value.code == "fits_invalid"


def test_what_the_reader_raises_is_raised(runner: ProcessRunner) -> None:
    class Gone(Memory):
        def read(self, start: int, stop: int) -> bytes:
            raise NotFound("These bytes are gone.", code="bytes_gone")

    with pytest.raises(NotFound) as refusal:
        list(runner.run(Gone(bytes(100)), [("META", "true")]))
    assert refusal.value.code == "bytes_gone"


def test_a_file_of_this_machine_is_handed_over_and_not_read_for_the_process(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    path = tmp_path / "m51.fits"
    path.write_bytes(written(fits.PrimaryHDU(ramp(100, 120))))

    class Local(Memory):
        def read(self, start: int, stop: int) -> bytes:
            raise AssertionError("the process has the file")

        def descriptor(self) -> int | None:
            return os.open(path, os.O_RDONLY)

    def opened_here() -> int:
        # of this file alone: other files are closed when Python comes to it
        return [os.path.realpath(one) for one in Path("/proc/self/fd").iterdir()].count(str(path.resolve()))

    reader = Local(bytes(path.stat().st_size))
    section = [("SUB", "[5:9,3:4]")]
    expected = view(path.read_bytes(), *section)
    assert b"".join(runner.run(reader, section)) == expected
    assert opened_here() == 0
    assert b"".join(runner.run(reader, section)) == expected
    assert opened_here() == 0


def test_an_answer_that_nobody_wants_to_the_end_leaves_nothing(runner: ProcessRunner) -> None:
    file = written(fits.PrimaryHDU(ramp(2000, 2000)))
    pieces = runner.run(Memory(file), [("SUB", "[*,*]")])
    assert next(pieces)
    pieces.close()
    assert len(opened(made(runner, file, ("SUB", "[1:5,1:5]")))[0].data) == 5


def bomb(codec: str, size: int) -> bytes:
    """Return an image whose first tile unpacks to `size` bytes."""
    file = written(
        fits.PrimaryHDU(), fits.CompImageHDU(ramp(100, 120), compression_type=codec, tile_shape=(100, 120))
    )
    *_, hdu = walk(Memory(file))
    packed = gzip.compress(bytes(64 * MiB), 1) * (size // (64 * MiB))
    head = bytearray(file[: hdu.data_start])
    at = head.index(b"PCOUNT  =")
    head[at : at + 30] = f"PCOUNT  = {len(packed):>20}".encode()
    descriptor = len(packed).to_bytes(4, "big") + bytes(4)
    rest = file[hdu.data_start + 8 : hdu.data_start + hdu.integer("NAXIS1")]
    data = descriptor + rest + packed
    return bytes(head) + data + bytes(-len(data) % 2880)


def test_a_bomb_in_a_tile_is_refused_and_the_next_view_is_made(runner: ProcessRunner) -> None:
    file = bomb("GZIP_1", 1024 * MiB)
    assert len(file) < 8 * MiB
    with pytest.raises((TooLarge, Invalid)) as refusal:
        made(runner, file, ("SUB", "[1][1:5,1:5]"))
    assert refusal.value.code in {"tile_too_large", "view_too_large", "view_failed", "fits_invalid"}
    good = written(fits.PrimaryHDU(ramp(10, 10)))
    assert made(runner, good, ("SUB", "[1:2,1:2]"))


def test_files_of_noise_never_break_out(runner: ProcessRunner) -> None:
    random = np.random.default_rng(11)
    outcomes = set[str]()
    for codec in ("RICE_1", "HCOMPRESS_1", "PLIO_1", "GZIP_1"):
        data = ramp(64, 64, dtype="i4") % 1000
        file = written(
            fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type=codec, tile_shape=(16, 64))
        )
        *_, hdu = walk(Memory(file))
        for _ in range(12):
            noisy = bytearray(file)
            for place in random.integers(hdu.start, hdu.data_start + hdu.data_size, 25):
                noisy[place] = int(random.integers(256))
            try:
                opened_size = len(made(runner, bytes(noisy), ("SUB", "[1][1:64,1:64]")))
                outcomes.add("made" if opened_size % 2880 == 0 else "odd")
            except (ArmillaryError, NoOverlapError) as error:
                outcomes.add(getattr(error, "code", "nothing"))
    assert outcomes <= {
        *("made", "nothing", "fits_invalid", "tile_too_large", "view_failed", "view_too_large", "no_image"),
        *("hdu_not_found", "cutout_too_large", "invalid_argument"),
    }


def test_a_view_that_takes_too_long_is_ended() -> None:
    axes = [card(f"NAXIS{n}", 60_000) for n in (1, 2)]
    header = block(card("SIMPLE", True), card("BITPIX", -64), card("NAXIS", 2), *axes)
    impatient = ProcessRunner(Limits(cpu_seconds=0))
    try:
        with pytest.raises(Invalid) as refusal:
            list(impatient.run(Sparse(header, len(header) + 60_000**2 * 8), [("PREVIEW", "2048")]))
        assert refusal.value.code == "view_failed"
        assert made(impatient, written(fits.PrimaryHDU(ramp(10, 10))), ("SUB", "[1:2,1:2]"))
    finally:
        impatient.close()


def test_closing_gives_up_what_is_in_hand() -> None:
    class Stuck(Memory):
        begun = threading.Event()
        let = threading.Event()

        def read(self, start: int, stop: int) -> bytes:
            self.begun.set()
            assert self.let.wait(20)
            return super().read(start, stop)

    closing = ProcessRunner()
    reader = Stuck(written(fits.PrimaryHDU(ramp(10, 10))))
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(lambda: list(closing.run(reader, [("META", "true")])))
        assert reader.begun.wait(20)
        closing.close()
        reader.let.set()
        with pytest.raises(Invalid):
            future.result(20)
    with pytest.raises(Unavailable):
        made(closing, b"", ("META", "true"))


def test_a_process_has_no_secrets(runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMILLARY_VOSPACE__S3_SECRET_KEY", "secret")
    fresh = ProcessRunner(Limits())
    try:
        assert made(fresh, written(fits.PrimaryHDU(ramp(10, 10))), ("META", "true"))
        found = [process for process in Path("/proc").glob("[0-9]*") if _is_worker(process)]
        assert found
        for process in found:
            assert b"secret" not in (process / "environ").read_bytes()
    finally:
        fresh.close()


def _is_worker(process: Path) -> bool:
    try:
        ours = b"armillary.vospace.views.worker" in (process / "cmdline").read_bytes()
        return ours and (process / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    except OSError:
        return False  # it has just ended
