"""Headless Chromium for tests, driven by chromedriver over W3C WebDriver's JSON, by the standard library alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--mute-audio", "--autoplay-policy=no-user-gesture-required"),
    *("--window-size=1280,900", "--disable-dev-shm-usage"),
)

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # of the W3C's recommendation, section 11


@dataclass(frozen=True)
class Browser:
    """One session.

    Attributes:
        url: of the session at chromedriver.
    """

    url: str

    def open(self, file: Path) -> None:
        self.call("POST", "url", url=file.resolve().as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page and return what it returns, awaited if it is a promise."""
        return self.call("POST", "execute/sync", script=script, args=list(arguments))

    def press(self, selector: str) -> None:
        found = self.call("POST", "element", using="css selector", value=selector)[_ELEMENT]
        self.run("arguments[0].scrollIntoView({block: 'center'})", {_ELEMENT: found})
        self.call("POST", f"element/{found}/click")

    def type(self, key: str) -> None:
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.call("POST", "actions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])

    def play(self) -> tuple[float, float]:
        """Play the first sound, and return its seconds and how far it came when it first said so."""
        return self.run(
            "const each = document.querySelector('audio');"
            "return new Promise((done, failed) => {"
            "  each.onerror = () => failed(each.error);"
            "  each.ontimeupdate = () => { if (each.currentTime > 0) done([each.duration, each.currentTime]); };"
            "  each.play().catch(failed);"
            "})"
        )

    def unfold(self) -> None:
        """Open all that is shown on demand."""
        self.run("for (const each of document.querySelectorAll('details')) each.open = true")

    def mark(self, mark: str, title: str) -> str:
        """Mark the head of that title in the last table that has one, and return its selector."""
        self.run(
            "const heads = [...document.querySelectorAll('.sorts th')]"
            "  .filter((each) => each.textContent === arguments[1]);"
            "heads.at(-1).id = arguments[0]",
            mark,
            title,
        )
        return f"#{mark}"

    def cells(self, head: str) -> list[str]:
        """Return the texts of the column below a head."""
        return self.run(
            "const head = document.querySelector(arguments[0]);"
            "return [...head.closest('table').tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent)",
            head,
        )

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.call("POST", "goog/cdp/execute", cmd=command, params=parameters)

    def width(self, pixels: int, height: int = 900) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=1, mobile=False
        )

    def console(self) -> list[str]:
        """Return what was logged since the last time."""
        return [entry["message"] for entry in self.call("POST", "se/log", type="browser")]

    def requests(self) -> list[str]:
        """Return the URLs that were asked for since the last time."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.call("POST", "se/log", type="performance")
        ]
        sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def screenshot(self, whole: bool = True) -> bytes:
        found = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("POST", "print", background=True))

    def call(self, method: str, path: str, **body: Any) -> Any:
        return _ask(method, f"{self.url}/{path}", body)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with a profile of its own; skip the test where there is none."""
    driver = shutil.which("chromedriver")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if driver is None or chromium is None:
        pytest.skip("no Chromium with chromedriver here (Debian: packages chromium and chromium-driver)")
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines = (re.search(r"started successfully on port (\d+)", line) for line in process.stdout)
            port = next(found[1] for found in lines if found)
            options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}"]}
            wanted = {
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            host = f"http://127.0.0.1:{port}/session"
            session = f"{host}/{_ask('POST', host, {'capabilities': {'alwaysMatch': wanted}})['sessionId']}"
            try:
                found = Browser(session)
                found.call("POST", "url", url="about:blank")
                found.requests()  # of the page that a new window shows
                yield found
            finally:
                _ask("DELETE", session, {})
        finally:
            process.terminate()


def _ask(method: str, url: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode() if method == "POST" else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()[:500]) from error
