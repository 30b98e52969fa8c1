from email import message_from_string
from typing import Any

from armillary.fleet.welcome import together

SCRIPT = "echo welcome\n"


def parts_of(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in message_from_string(text).walk():
        if not part.is_multipart():
            payload: Any = part.get_payload()
            found.append((part.get_content_type(), payload))
    return found


def test_a_script_alone_is_plain_user_data() -> None:
    assert together(" \n", SCRIPT) == "#!/bin/sh\necho welcome\n"


def test_what_a_person_typed_comes_first_and_as_it_was() -> None:
    typed = "#cloud-config\npackages: [café]\n"
    assert parts_of(together(typed, SCRIPT)) == [
        ("text/cloud-config", typed),
        ("text/x-shellscript", "#!/bin/sh\necho welcome\n"),
    ]


def test_scripts_and_templates_keep_their_kind() -> None:
    assert parts_of(together("#!/bin/bash\ntrue\n", SCRIPT))[0][0] == "text/x-shellscript"
    assert parts_of(together("## template: jinja\n#cloud-config\n", SCRIPT))[0][0] == "text/jinja2"


def test_a_message_of_several_parts_stays_one() -> None:
    typed = together("#!/bin/sh\nfirst\n", "second\n")
    kinds = [text for _, text in parts_of(together(typed, SCRIPT))]
    assert kinds == ["#!/bin/sh\nfirst\n", "#!/bin/sh\nsecond\n", "#!/bin/sh\necho welcome\n"]


def test_what_may_be_typed_at_most_fits_into_novas_bound_with_the_welcome() -> None:
    assert len(together("#!/bin/sh\n" + "x" * 46_000, "y" * 1800).encode()) * 4 / 3 < 65_535
