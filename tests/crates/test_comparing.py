"""How files differ."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from armillary.crates.comparing import Tolerance, Way, compare


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "a", tmp_path / "b"


def test_the_same_bytes_are_identical(pair: tuple[Path, Path]) -> None:
    for place in pair:
        place.write_bytes(b"\0\1\2")
    assert compare(*pair).identical


def test_of_other_bytes_the_first_that_differs_is_named(pair: tuple[Path, Path]) -> None:
    pair[0].write_bytes(b"\0" * 70_000 + b"a")
    pair[1].write_bytes(b"\0" * 70_000 + b"bc")
    found = compare(*pair)
    assert not found.alike and found.way is Way.BYTES
    assert found.differences == ["70001 bytes, and 70002", "differ from byte 70000 on"]


def test_fits_images_are_compared_with_a_tolerance(pair: tuple[Path, Path]) -> None:
    data = np.ones((4, 4), dtype="f4")
    fits.PrimaryHDU(data, header=fits.Header([("DATE", "2025")])).writeto(pair[0])
    data[2, 3] = 1.001
    fits.PrimaryHDU(data, header=fits.Header([("DATE", "2026")])).writeto(pair[1])
    exact = compare(*pair)
    assert exact.way is Way.FITS and not exact.alike
    assert any("Data differs at [4, 3]" in line for line in exact.differences)
    assert compare(*pair, Tolerance(relative=0.01, ignore=["DATE"])).alike
    assert not compare(*pair, Tolerance(relative=0.01)).alike, "a keyword has another value"


def test_tables_in_fits_and_votable_are_compared_with_a_tolerance(tmp_path: Path) -> None:
    for form, way in (("fits", Way.FITS), ("votable", Way.VOTABLE)):
        places = tmp_path / f"a.{form}", tmp_path / f"b.{form}"
        for place, last in zip(places, (2.0, 2.0001), strict=True):
            Table({"name": ["m31", "m51"], "flux": [1.0, last]}).write(place, format=form)
        found = compare(*places)
        assert (found.way, found.alike) == (way, False)
        assert any("flux" in line for line in found.differences)
        assert compare(*places, Tolerance(absolute=0.001)).alike


def test_catalogues_in_text_are_compared_with_a_tolerance(pair: tuple[Path, Path]) -> None:
    pair[0].write_text("# 1 NUMBER\n1  10.50  m51\n2  11.00  m52\n")
    pair[1].write_text("# 1 NUMBER\n1  10.5001 m51\n2  11.00  m52\n")
    found = compare(*pair)
    assert found.way is Way.TEXT and found.count == 1 and found.differences[0].startswith("line 2:")
    assert compare(*pair, Tolerance(relative=1e-4)).alike
    pair[1].write_text("# 1 NUMBER\n1,10.5001,m51\n")
    assert compare(*pair, Tolerance(relative=1e-4)).differences == ["line 3: only in the first file"]
    pair[1].write_text("# 1 NUMBER\n1  10.5 m53\n2 11.0 m52\n")
    assert compare(*pair, Tolerance(relative=1)).count == 1, "names are no numbers"


def test_what_only_seems_to_be_fits_is_compared_by_its_bytes(pair: tuple[Path, Path]) -> None:
    pair[0].write_bytes(b"SIMPLE  =" + b"\0" * 100)
    pair[1].write_bytes(b"SIMPLE  =" + b"\1" * 100)
    found = compare(*pair)
    assert not found.alike and found.count >= 1


def _elsewhere(address: str, *, prefix: str = "") -> str:
    return (
        f'<VOTABLE version="1.4"><RESOURCE><TABLE nrows="1"><FIELD name="a" datatype="char" arraysize="12"/>'
        f'<DATA><BINARY><{prefix}STREAM href="{address}"/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>'
    )


@pytest.mark.parametrize("prefix", ["", "v:"])
def test_a_votable_that_points_elsewhere_is_not_followed(
    pair: tuple[Path, Path], tmp_path: Path, prefix: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("PRIVATE KEY.")
    pair[0].write_text(_elsewhere(secret.as_uri(), prefix=prefix))
    pair[1].write_text(_elsewhere("file:///dev/null", prefix=prefix))
    found = compare(*pair)
    assert found.way is Way.BYTES and not found.alike
    assert "PRIVATE" not in str(found.differences) and "another file" in found.differences[0]


def test_an_entity_does_not_hide_that_a_votable_points_elsewhere(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("PRIVATE KEY.")
    doctype = f"<!DOCTYPE VOTABLE [<!ENTITY s '<STREAM href=\"{secret.as_uri()}\"/>'>]>"
    plain = _elsewhere(secret.as_uri())
    stream = plain[plain.index("<STREAM") : plain.index("</BINARY>")]
    pair[0].write_text(doctype + plain.replace(stream, "&s;"))
    pair[1].write_text(_elsewhere("file:///dev/null"))
    assert "PRIVATE" not in str(compare(*pair).differences)


def test_a_process_apart_follows_no_address(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("secret")
    code = (
        "import urllib.request; from armillary.base.confined import confine; confine(memory=1 << 30)\n"
        f"urllib.request.urlopen({(tmp_path / 'there').as_uri()!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "is not for this process" in done.stderr


def test_what_is_told_of_strangers_files_is_short(pair: tuple[Path, Path]) -> None:
    for place, letter in zip(pair, "ab", strict=True):
        Table({f"column{number}{letter}": [letter * 100_000] for number in range(40)}).write(
            place, format="votable"
        )
    found = compare(*pair)
    assert found.way is Way.VOTABLE and max(map(len, found.differences)) <= 300
    for place, letter in zip(pair, "ab", strict=True):
        Table({"name": [letter * 100_000]}).write(place, format="fits", overwrite=True)
    found = compare(*pair)
    assert found.way is Way.FITS and max(map(len, found.differences)) <= 300


def test_a_header_of_fits_that_astropy_stumbles_over_makes_bytes_of_it(pair: tuple[Path, Path]) -> None:
    fits.PrimaryHDU(np.zeros((10, 10))).writeto(pair[0])
    whole = pair[0].read_bytes()
    pair[1].write_bytes(whole.replace(b"T / conforms", b"T9/ conforms", 1))
    found = compare(*pair)
    assert (found.way, found.alike) == (Way.BYTES, False)
    assert found.differences[-1] == "differ from byte 30 on"
