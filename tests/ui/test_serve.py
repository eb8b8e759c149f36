"""The command itself: it lets one browser in, draws the charts there, and leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.ui.conftest import HOSTILE, SOURCE

from meterlake.cli import main
from meterlake.serving import embedded
from meterlake.settings import PROJECT, Settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Plotly brings a map library, which writes a style element when it is loaded. No page has a map: it is not missed.
UNUSED = "Applying inline style violates"


@contextmanager
def served(home: Settings) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`meterlake ui` on the home: the address that it prints, and its process."""
    command = [sys.executable, "-m", "meterlake.cli", "ui", "--home", str(home.home)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "lib"), "METERLAKE_PROJECT": str(PROJECT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://127\.0\.0\.1:\d+/\?token=\S+) opens .* Ctrl-C ends it\.$", line)
        assert found, line + (process.communicate()[1] if process.poll() is not None else "")
        yield found[1], process
    finally:
        process.kill()
        process.communicate()


def test_a_home_without_a_run_is_told_in_a_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["ui", "--home", str(tmp_path / "new")]) == 2
    assert "holds no run yet, so there is nothing to browse; make one by" in caplog.text


def test_ctrl_c_ends_it_and_the_stores_that_it_started(home: Settings) -> None:
    embedded.stop(home)
    try:
        with served(home) as (_, process):
            assert all(store.running for store in embedded.status(home))
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)
            assert process.returncode == 0, said
            assert "token" not in "".join(said)
        assert not any(store.running for store in embedded.status(home))
    finally:
        embedded.start(home)


def test_a_real_browser_draws_the_charts_and_blocks_nothing_that_is_used(home: Settings, tmp_path: Path) -> None:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with served(home) as (address, process):
        page = address.replace("/?", f"/meter?source={SOURCE}&meter={quote(HOSTILE)}&")
        command = [program, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
        command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=15000", "--dump-dom", page]
        seen = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        process.terminate()
        assert process.wait(30) == 0
    assert all(store.running for store in embedded.status(home)), "stores that were up stay up"
    assert "<h1>Meter &lt;script&gt;alert" in seen.stdout
    assert seen.stdout.count('class="main-svg"') >= 2, "the charts are drawn"
    assert "measured 166" in re.sub(r"<[^>]+>", "", seen.stdout)
    complaints = [line for line in seen.stderr.splitlines() if "CONSOLE" in line and UNUSED not in line]
    assert complaints == []
