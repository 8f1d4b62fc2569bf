"""The demo in a real browser: starting it, opening its page, and what a visitor does there."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, Locator, expect

ROOT = Path(__file__).parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # no other host can be reached
]
# What Gradio's client warns of when a file is uploaded, and when a page is left while it listens for an answer.
GRADIOS_OWN = re.compile("^Method not implemented.$|signal is aborted without reason|^Unexpected error Connection err")
TABS = ("Headline", "Many", "Model", "Code")


def start(folder, *, python=sys.executable, where=ROOT, **environment):
    """Start `python app.py` on a free port, as anyone would; `ready` waits until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "SPACE", "TEXTCNN_"))}
    clean |= {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    url, log = f"http://127.0.0.1:{port}/", folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, "app.py"], cwd=where, env=clean | environment, stdout=output, stderr=subprocess.STDOUT
        )
    return process, url, log


def ready(process, url, log):
    """Wait until a started app answers."""
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(url + "health", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"the app did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Visit:
    """One page, and all that went wrong or went elsewhere while it was open."""

    def __init__(self, browser: Browser, url: str, query: str = "", *, theme="light", width=1280, height=900):
        self.elsewhere: list[str] = []
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.url, home = url, urlsplit(url).netloc
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        page = self.page = self.context.new_page()
        page.set_default_timeout(20_000)

        def watch(request):  # attempts: one that is blocked or fails is seen too
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != home:
                self.elsewhere.append(request.url)
            self.asked.append(request.url)

        self.context.on("request", watch)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("dialog", lambda dialog: (self.trouble.append(dialog.message), dialog.dismiss()))
        page.on(
            "response", lambda answer: answer.status >= 400 and self.trouble.append(f"{answer.status} {answer.url}")
        )
        self.open(query)

    def open(self, query=""):
        """Open the page, with what follows its question mark, and wait until an answer is shown."""
        self.page.goto(self.url + query, wait_until="domcontentloaded")
        expect(self.answer.first).to_be_visible(timeout=30_000)  # rendered, not only served

    def _heard(self, line):
        if line.type in ("error", "warning") and not GRADIOS_OWN.search(line.text):
            self.trouble.append(line.text)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.elsewhere == [], self.elsewhere
            assert self.trouble == [], self.trouble

    @property
    def answer(self) -> Locator:
        return self.page.locator(".answer[data-link]")

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox", name="Headline")

    @property
    def said(self) -> Locator:
        """The answer in words, of the last of the headlines that are shown."""
        return self.page.locator(".side .said").last

    @property
    def picture(self) -> Locator:
        """The last heat map, in the theme that is shown."""
        return self.page.locator(".map img").filter(visible=True).last

    def ask(self, headline: str, button: bool = False) -> None:
        """Type a headline, submit it, and wait for its answer."""
        self.box.fill(headline)
        if button:
            self.page.get_by_role("button", name="Classify", exact=True).click()
        else:
            self.box.press("Enter")
        self.answered(headline)

    def answered(self, headline: str, **more: str) -> None:
        """Wait until this is what the answer's link asks."""
        for part in _parts(headline=headline, **more):
            expect(self.page.locator(f'.answer[data-link*="{part}"]')).to_be_attached()

    def addressed(self, **asked: str) -> None:
        """Wait until the address asks this."""
        for part in _parts(**asked):
            expect(self.page).to_have_url(re.compile(re.escape(part)))

    def drawn(self) -> None:
        """Wait for the picture: pictures are loaded when they come into view."""
        self.picture.scroll_into_view_if_needed()
        expect(self.picture).to_have_js_property("complete", True)
        assert self.picture.evaluate("image => image.naturalWidth") > 0

    def shares(self, side: int = -1) -> dict[str, str]:
        """Return what the bars say, by class."""
        bars = self.page.locator(".side .bars").nth(side)
        return {
            row.locator("th").inner_text(): row.locator(".share").inner_text() for row in bars.locator("tbody tr").all()
        }

    def tab(self, name: str) -> Locator:
        """Open a tab and return what it shows."""
        self.page.get_by_role("tab", name=name, exact=True).click()
        panel = self.page.get_by_role("tabpanel").filter(visible=True)
        expect(panel).to_be_visible()
        return panel

    def sideways(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def shoot(self, path: Path) -> None:
        """Save a picture of the whole page, from its top."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("window.scrollTo(0, 0)")
        self.page.screenshot(path=path, full_page=True)


def _parts(**asked: str) -> list[str]:
    """Parts of a link; `class_` stands for class."""
    return [urlencode({name.rstrip("_"): value}) for name, value in asked.items()]


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[tuple[str, Path]]:
    """Run the app for as long as the block lasts; its address and its log."""
    process, url, log = start(folder, **environment)
    try:
        ready(process, url, log)
        yield url, log
    finally:
        stop(process)
