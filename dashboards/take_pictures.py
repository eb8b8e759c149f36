"""`make screenshots`: pictures of the dashboards, from a Superset that runs, by headless Chromium.

Needs Debian's chromium and chromium-driver. Runs in Superset's environment.
"""

import argparse
import io
import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait
from start_superset import HOST, admin_file

DASHBOARDS = ("overview", "anomalies", "patterns")
WIDTH = 1500
PATIENCE_S = 180
LARGEST_BYTES = 300_000

# Both are asked of the page: a chart is done when it shows something, and a page when all charts are.
CHARTS_LEFT = """
const all = [...document.querySelectorAll('.dashboard-component-chart-holder')];
const busy = all.filter(chart => chart.querySelector('.loading, [aria-label="Loading"]')
  || !chart.querySelector('canvas, svg, table, .header-line, [role="alert"]'));
return all.length ? busy.length : -1;
"""
COMPLAINTS = """
return [...document.querySelectorAll('.dashboard-component-chart-holder')]
  .filter(chart => chart.querySelector('[role="alert"], .ant-empty, .missing-chart-container'))
  .map(chart => chart.innerText.slice(0, 200));
"""
HEIGHT = "return document.querySelector('.grid-container, .dashboard-grid, [data-test=grid-container]').scrollHeight;"


def main() -> int:
    parsed = _parser().parse_args()
    browser = _browser()
    try:
        _log_in(browser, parsed.port, admin_file(parsed.home).read_text().strip())
        bad = 0
        for name in DASHBOARDS:
            bad += _picture(browser, _address(parsed.port, name), parsed.out / f"superset-{name}.png")
        if parsed.meter:
            address = _address(parsed.port, "anomalies", _only("anomalies", "meter", "meter_id", parsed.meter))
            bad += _picture(browser, address, parsed.out / "superset-anomalies-meter.png")
    finally:
        browser.quit()
    return 1 if bad else 0


def _picture(browser: WebDriver, address: str, file: Path) -> int:
    """Write the whole page. Returns how many charts are empty or complain."""
    # Narrow in height at first; charts below are loaded when they come into view, so then as high as the page is.
    browser.set_window_size(WIDTH, 1000)
    browser.get(address)
    started = time.monotonic()
    wait = WebDriverWait(browser, PATIENCE_S, poll_frequency=0.5)
    wait.until(lambda page: page.execute_script(CHARTS_LEFT) >= 0)
    browser.set_window_size(WIDTH, int(browser.execute_script(HEIGHT)) + 260)
    wait.until(lambda page: page.execute_script(CHARTS_LEFT) == 0)
    seconds = time.monotonic() - started
    time.sleep(3)  # the charts' animations
    file.parent.mkdir(parents=True, exist_ok=True)
    size = _save(browser.get_screenshot_as_png(), file)
    complaints = browser.execute_script(COMPLAINTS)
    print(f"{file}: {size / 1000:.0f} kB, drawn after {seconds:.1f} s, {len(complaints)} charts empty or in error")
    for words in complaints:
        print("   ", " ".join(words.split()))
    return len(complaints)


def _save(png: bytes, file: Path) -> int:
    """With as many colours as fit into LARGEST_BYTES; returns the bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32):
        image.quantize(colours, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size < LARGEST_BYTES:
            break
    return file.stat().st_size


def _address(port: int, name: str, filters: str = "") -> str:
    page = f"http://{HOST}:{port}/superset/dashboard/meterlake-{name}/?standalone=1&expand_filters=0"
    return page + (f"&native_filters={quote(filters)}" if filters else "")


def _only(dashboard: str, name: str, column: str, value: str) -> str:
    """A native filter's choice as it stands in an address (rison)."""
    key = f"NATIVE_FILTER-{dashboard}-{name}"
    form = f"extraFormData:(filters:!((col:{column},op:IN,val:!('{value}'))))"
    return f"({key}:(id:{key},{form},filterState:(value:!('{value}')),ownState:()))"


def _log_in(browser: WebDriver, port: int, password: str) -> None:
    browser.get(f"http://{HOST}:{port}/login/")
    wait = WebDriverWait(browser, PATIENCE_S)
    wait.until(lambda page: page.find_elements(By.NAME, "username") or page.find_elements(By.ID, "username"))
    for name, text in (("username", "admin"), ("password", password)):
        found = browser.find_elements(By.NAME, name) or browser.find_elements(By.ID, name)
        found[0].send_keys(text)
    browser.find_element(By.CSS_SELECTOR, "button[type=submit], input[type=submit]").click()
    wait.until(lambda page: "/login" not in page.current_url)


def _browser() -> WebDriver:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        sys.exit("screenshots: chromium or its driver is missing; apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = chromium
    for option in ("--headless=new", "--hide-scrollbars", "--force-device-scale-factor=1", "--disable-dev-shm-usage"):
        options.add_argument(option)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses its sandbox to root
    return webdriver.Chrome(options=options, service=Service(driver))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Pictures of the dashboards from a Superset that runs.")
    parser.add_argument("--home", type=lambda text: Path(text).expanduser().resolve(), required=True)
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--meter", help="also the anomalies of this meter")
    return parser


if __name__ == "__main__":
    sys.exit(main())
