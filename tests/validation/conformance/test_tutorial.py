"""The page "Test your own implementation" shows what the commands print."""

from pathlib import Path

import pytest

from refmg_validation.cli import main

DOCS = Path(__file__).parents[3] / "docs"
COMMANDS = ("refmg conformance run first_try.py --level core", "refmg conformance run my_torch.py")


def shown(command):
    """Return the lines that the page shows under a command, without those left out."""
    text = (DOCS / "conformance.md").read_text()
    block = text.partition(f"$ {command}\n")[2].partition("```")[0]
    return [line for line in block.splitlines() if line != "[..]"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_output_on_the_page_is_what_is_printed(monkeypatch, capsys, command):
    pytest.importorskip("torch", reason="the example is in PyTorch")
    monkeypatch.chdir(DOCS / "examples/conformance")
    assert main(command.split()[1:]) == (1 if "first_try" in command else 0)
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    lines = shown(command)
    assert lines
    assert [line for line in lines if line not in printed] == []
