"""The CI script: without a browser it stops and says so, and tests of pages fail instead of being skipped."""

import subprocess
from pathlib import Path

import browser
import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "browser"
TOOLS = ("env", "bash", "mktemp", "tail")


def run(folder, **programs):
    """Run the script where only these programs are on the path."""
    for name in TOOLS:
        found = next(p for p in (Path("/usr/bin", name), Path("/bin", name)) if p.exists())
        (folder / name).symlink_to(found)
    for name, code in programs.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/usr/bin/env bash\n{code}\n")
        path.chmod(0o755)
    command = ["bash", str(SCRIPT)]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True)


def test_a_browser_that_is_there_is_taken(tmp_path):
    assert run(tmp_path, chromium_browser="exit 0", apt_get="exit 1").returncode == 0


def test_a_browser_that_can_be_installed_is(tmp_path):
    code = f"printf '#!/usr/bin/env bash' > {tmp_path}/chromium; /bin/chmod +x {tmp_path}/chromium"
    assert run(tmp_path, apt_get=code).returncode == 0


@pytest.mark.parametrize("code", ["echo no network; exit 100", "exit 0"])
def test_no_browser_stops_it_with_one_clear_line(tmp_path, code):
    done = run(tmp_path, apt_get=code)
    assert done.returncode == 1
    assert "found no browser, and apt-get could not install chromium" in done.stderr


def test_without_a_browser_a_test_fails_in_ci_and_is_skipped_elsewhere(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser here"):
        browser.browser()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no browser here"):
        browser.browser()
