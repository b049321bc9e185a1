"""What a command says on standard error while it goes on."""

import subprocess
import sys

import pytest

# In a process of its own: here, pytest keeps what is warned of.
PROGRAM = """
import warnings
import refmg_validation.info
from refmg import FewImagesWarning
from refmg_validation.cli import main

def description():
    warnings.warn("found 1 image", {category})
    return "done"

refmg_validation.info.description = description
status = main(["info"])
warnings.warn("after the command", FewImagesWarning)
raise SystemExit(status)
"""


@pytest.mark.parametrize("category", ["FewImagesWarning", "UserWarning"])
def test_a_warning_of_refmg_is_one_line_and_others_are_as_ever(category):
    command = [sys.executable, "-W", "always", "-c", PROGRAM.format(category=category)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"
    during, *after = done.stderr.splitlines()
    expected = {
        "FewImagesWarning": "refmg: warning: found 1 image",
        "UserWarning": "<string>:8: UserWarning: ",
    }
    assert during.startswith(expected[category])
    assert after[-1].endswith("FewImagesWarning: after the command")
