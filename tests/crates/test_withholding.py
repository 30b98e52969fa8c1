"""Secrets do not get into records, and what only looks a little like one does."""

import time

import pytest

from armillary.crates.withholding import (
    WITHHELD,
    from_address,
    from_arguments,
    from_environment,
    from_text,
    from_value,
)


@pytest.mark.parametrize(
    "name", ["API_TOKEN", "OS_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "apiKey", "DB_PASS", "token2"]
)
def test_a_variable_that_is_called_a_secret_keeps_its_name_alone(name: str) -> None:
    assert from_environment({name: "hunter2", "BAND": "r"}) == {name: WITHHELD, "BAND": "r"}


@pytest.mark.parametrize(
    "name", ["PASSBAND", "MAX_TOKENS", "KEYWORD", "AUTHOR", "SORT_KEY", "BYPASS", "TOKEN_FILE", "secretary"]
)
def test_a_variable_that_is_not_one_keeps_its_value(name: str) -> None:
    assert from_environment({name: "r"}) == {name: "r"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('environment = "API_TOKEN=abc123 BAND=r"', f'environment = "API_TOKEN={WITHHELD} BAND=r"'),
        ("arguments = --password hunter2 m51.fits", f"arguments = --password {WITHHELD} m51.fits"),
        ("arguments = --api-key=hunter2 m51.fits", f"arguments = --api-key={WITHHELD} m51.fits"),
        ('+MySecret = "two words"', f"+MySecret = {WITHHELD}"),
        ("token = $(Item)", "token = $(Item)"),
        ("curl -H 'Authorization: Bearer abcdefgh12345'", f"curl -H 'Authorization: Bearer {WITHHELD}'"),
        ("wget https://ada:hunter2@example.org/m51", f"wget https://{WITHHELD}@example.org/m51"),
        ("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\nqueue", f"{WITHHELD}\nqueue"),
        ("arm_abcdefghijklmnopqrstuvwxyz", WITHHELD),
        ("curl -d jwt:eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKx-wRJSM m51", f"curl -d jwt:{WITHHELD} m51"),
        ("see-eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKx.", f"{WITHHELD}."),
        ("eyJust a name.of-a-file.fits", "eyJust a name.of-a-file.fits"),
        ("queue passband, file from list.txt", "queue passband, file from list.txt"),
        ('requirements = (CloudName == "east")', 'requirements = (CloudName == "east")'),
    ],
)
def test_a_text_loses_its_secrets_and_nothing_else(text: str, left: str) -> None:
    assert from_text(text) == left


def test_an_option_and_its_value_may_be_two_arguments() -> None:
    assert from_arguments(["--token", "abc", "-v", "--token", "--next", "m51"]) == [
        "--token", WITHHELD, "-v", "--token", "--next", "m51",
    ]  # fmt: skip


def test_what_is_deep_inside_is_found_and_a_hook_is_known_by_its_host() -> None:
    assert from_value({"a": [{"password": "x", "n": 1}], "token": ""}) == {
        "a": [{"password": WITHHELD, "n": 1}], "token": "",
    }  # fmt: skip
    assert from_address("https://hooks.example/services/T0/B1/xyz") == f"https://hooks.example/{WITHHELD}"
    assert from_address("https://hooks.example") == "https://hooks.example"


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "_",
        "token",
        "token=",
        "--token ",
        "eyJ",
        "eyJ-",
        "eyJaaaaaaaa.",
        "://a:",
        "a.",
        "'",
        "-",
        "arm_",
        "pass ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.process_time()
    from_text(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 5
