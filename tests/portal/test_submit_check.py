from __future__ import annotations

import pytest

from armillary.base.errors import Invalid
from armillary.portal.submit_check import check_submit

CATALOGUE = """\
# thresholds of detection, image by image
Universe     = vanilla
Executable   = do_catalogue.sh
Arguments    = $(image) $(threshold)
Output       = $(Cluster).$(Process).out
Error        = $Fn(image)-$(threshold).err
Log          = catalogue.log
prefix       = m51
transfer_input_files = $(prefix).fits, \\
                       default.sex
+Owner       = undefined
should_transfer_files = YES
request_cpus = 1
request_memory = 512M
queue image, threshold from (
  $(prefix).fits 1.5
  m101.fits      3.0
)
Arguments = again $INT(Process)
queue 2
queue name in (a, b, c)
queue image from ( m33.fits )
"""


def test_the_submit_files_of_the_documentation_pass() -> None:
    check_submit(CATALOGUE)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("executable = x\nqueue n from (\n$ENV(HOME)\n)", "$ENV"),
        ("a = \\\n$ENV(HOME)\nqueue", "$ENV"),
        ("QUEUE n FROM ls |", "queue n FROM ls |"),
        ("GetEnv = True\nqueue", "GetEnv"),
        ("MY.getenv = True\nqueue", "MY.getenv"),
        ("a = $(b)\nqueue", "$(b)"),
        ("a = $$([ 1 + 1 ])\nqueue", "$$("),
        ("a = $CHOICE(b, 1, 2)\nqueue", "$(b)"),
    ],
)
def test_whatever_looks_beyond_the_file_is_named(text: str, word: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_submit(text)
    assert refusal.value.code == "not_in_the_portal"
    assert word in refusal.value.facts["word"]
