"""The page in a real browser: Debian's chromium, driven by Playwright, without a network."""

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import expect, sync_playwright

from tests.conftest import ROOT, STOCKS

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HOSTILE = 'Shares of <img src=x onerror="document.title=1"> jump $5 to $60 ${document.title=2} {{value}} zqxv'

pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="no chromium: apt-get install chromium, or set CHROMIUM to its path"
)


def start(folder, **environment):
    """Start `python app.py` on a free port, as anyone would, and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "SPACE"))}
    clean |= {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    url, log = f"http://127.0.0.1:{port}/", folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=clean | environment, stdout=output, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(url + "config", timeout=5):
                return process, url, log
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"the app did not start:\n{log.read_text()}")
            time.sleep(0.1)


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    process, url, log = start(tmp_path_factory.mktemp("app"))
    yield url, log
    stop(process)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The app as a Space starts it, where Gradio would add a bar that fetches fonts and likes from elsewhere."""
    process, url, log = start(tmp_path_factory.mktemp("space"), SYSTEM="spaces", SPACE_ID="someone/something")
    yield url, log
    stop(process)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One page, and all that went wrong or went elsewhere while it was open."""

    def __init__(self, browser, url, *, theme="light", width=1280):
        self.elsewhere: list[str] = []
        self.trouble: list[str] = []
        home = urlsplit(url).netloc
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        page = self.page = self.context.new_page()
        page.set_default_timeout(20_000)

        def watch(request):  # attempts: one that is blocked or fails is seen too
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != home:
                self.elsewhere.append(request.url)

        self.context.on("request", watch)
        page.on("console", lambda line: line.type in ("error", "warning") and self.trouble.append(line.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on(
            "response", lambda answer: answer.status >= 400 and self.trouble.append(f"{answer.status} {answer.url}")
        )
        page.goto(f"{url}?__theme={theme}", wait_until="domcontentloaded")
        expect(page.locator("#said strong")).to_be_visible(timeout=30_000)  # rendered, not only served

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert self.elsewhere == []
            assert self.trouble == []

    def picture(self):
        return self.page.locator(".map img").filter(visible=True)  # of the theme that is shown

    def type(self, text):
        box = self.page.get_by_role("textbox", name="Headline")
        box.fill(text)
        box.press("Enter")

    def ask(self, text):
        """Type a headline, press Enter, and wait for the picture of the answer."""
        before = self.picture().get_attribute("src")
        self.type(text)
        expect(self.picture()).not_to_have_attribute("src", before)
        self.picture().scroll_into_view_if_needed()  # pictures are loaded when they come into view
        expect(self.picture()).to_have_js_property("complete", True)
        assert self.picture().evaluate("image => image.naturalWidth") > 0


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_headline_is_answered_in_both_themes_on_desk_and_phone(site, browser, theme, width):
    with Visit(browser, site[0], theme=theme, width=width) as visit:
        visit.ask(STOCKS)
        expect(visit.page.get_by_test_id("label-output-value")).to_have_text("Business")
        assert visit.page.locator("#label meter").count() == 4
        other = "dark" if theme == "light" else "light"
        expect(visit.page.locator(f".only-{theme} img")).to_be_visible()
        expect(visit.page.locator(f".only-{other}")).to_be_hidden()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width  # no sideways scrolling
        expect(visit.page.locator("footer")).not_to_be_visible()


def test_as_a_space_nothing_is_fetched_from_elsewhere_either(space, browser):
    with Visit(browser, space[0]) as visit:
        visit.ask(STOCKS)


def test_what_was_typed_stays_text_and_unknown_words_are_named(site, browser):
    with Visit(browser, site[0]) as visit:
        visit.ask(HOSTILE)
        expect(visit.page.locator("#said")).to_contain_text("zqxv")
        assert visit.page.locator("#said img").count() == 0
        assert visit.page.title() == "Headline classifier"


def test_an_example_is_answered_by_one_click(site, browser):
    with Visit(browser, site[0]) as visit:
        visit.page.get_by_role("button", name="Late goal sends the champions").click()
        expect(visit.page.get_by_test_id("label-output-value")).to_have_text("Sports")
        expect(visit.page.get_by_role("textbox", name="Headline")).to_have_value(
            "Late goal sends the champions into the cup final"
        )


def test_nothing_typed_is_said_and_the_last_answer_stays(site, browser):
    with Visit(browser, site[0]) as visit:
        visit.type("   ")
        expect(visit.page.locator("#said")).to_have_text("Type a headline first.")
        assert visit.page.locator("#label meter").count() == 4


def test_the_page_works_in_a_frame_of_another_origin(site, browser):
    """A Space is shown in a frame of huggingface.co."""

    class Parent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="{site[0]}" width=900 height=900></iframe>'.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://localhost:{server.server_port}/")
        frame = page.frame_locator("iframe")
        expect(frame.locator("#said strong")).to_be_visible(timeout=30_000)
        box = frame.get_by_role("textbox", name="Headline")
        box.fill(STOCKS)
        box.press("Enter")
        expect(frame.get_by_test_id("label-output-value")).to_have_text("Business", timeout=20_000)
        context.close()
        server.shutdown()


def test_the_endpoint_gives_every_probability_and_the_picture(site, tmp_path):
    client = Client(site[0], verbose=False, download_files=tmp_path)
    label, picture = client.predict(STOCKS, api_name="/classify")
    found = {row["label"]: row["confidence"] for row in label["confidences"]}
    assert set(found) == {"Business", "Sci/Tech", "Sports", "World"}
    assert sum(found.values()) == pytest.approx(1)
    assert label["label"] == "Business"
    assert Path(picture).read_bytes().startswith(b"\x89PNG")
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/classify"]
    with pytest.raises(Exception, match="10,000 characters long"):
        client.predict("x" * 10_000, api_name="/classify")


def test_the_log_of_a_visitors_mistakes_has_no_traceback(site):
    assert "Traceback" not in site[1].read_text()
