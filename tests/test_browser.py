"""The page in a real browser: Debian's chromium, driven by Playwright, without a network."""

import csv
import html
import http.server
import json
import os
import re
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from demo.page import EXAMPLES
from tests.conftest import STOCKS
from tests.pages import CHROMIUM, FLAGS, ROOT, TABS, Visit, ready, start, stop
from textcnn import HeadlineClassifier

GOAL = "Late goal wins the cup final"
PEACE = "Rebels and government sign a peace accord"
HOSTILE = 'Shares <script>document.title="1"</script> of <img src=x onerror="alert(1)"> jump ${alert(2)} {{value}} zqxv'
LONG = " ".join(["Oil prices hit a record high as stocks slide on Wall Street and banks"] * 5)  # 65 words
SCREENSHOTS = os.environ.get("TEXTCNN_SCREENSHOTS")  # a folder that pictures of the page are written to

pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="no chromium: apt-get install chromium, or set CHROMIUM to its path"
)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Two processes that start at the same time, as that takes a while."""
    space = {"SYSTEM": "spaces", "SPACE_ID": "someone/something"}
    apps = [start(tmp_path_factory.mktemp("app"), **environment) for environment in ({}, space)]
    yield apps
    for process, _, _ in apps:
        stop(process)
    # Not in the second one's: Gradio wants the package `spaces` there, which only a Space has.
    assert "Traceback" not in apps[0][2].read_text()


@pytest.fixture(scope="module")
def site(started):
    ready(*started[0])
    return started[0][1]


@pytest.fixture(scope="module")
def space(started):
    """As a Space starts it: Gradio would add a bar there that fetches fonts and likes from elsewhere."""
    ready(*started[1])
    return started[1][1]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def model():
    return HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "default")


@pytest.fixture(scope="module")
def hashes(site):
    with urllib.request.urlopen(site + "health") as answer:
        return json.load(answer)["models"]


@pytest.fixture
def visit(site, browser):
    with Visit(browser, site) as visit:
        yield visit


def shares(prediction):
    return {name: f"{share:.1%}" for name, share in prediction.distribution.items()}


# --- an answer ------------------------------------------------------------------------------------------------------


def test_a_headline_is_answered_by_enter_by_the_button_and_by_an_example(visit, model):
    visit.ask(STOCKS)
    assert visit.shares() == shares(model.predict(STOCKS))
    expect(visit.said).to_contain_text("Business")
    visit.ask(GOAL, button=True)
    assert visit.shares() == shares(model.predict(GOAL))
    visit.page.get_by_role("button", name="Scientists find new planet").click()
    visit.answered("Scientists find new planet beyond the solar system")
    expect(visit.said).to_contain_text("Sci/Tech")
    expect(visit.box).to_have_value("Scientists find new planet beyond the solar system")


def test_the_answer_is_there_before_its_picture(visit):
    held = []
    visit.page.route("**/picture.png?*", lambda route: held.append(route))
    visit.ask(GOAL)
    assert next(iter(visit.shares())) == "Sports"
    visit.picture.scroll_into_view_if_needed()
    expect(visit.page.locator(".side .word")).to_have_count(6)
    visit.page.wait_for_timeout(100)
    assert held
    assert visit.picture.evaluate("image => image.naturalWidth") == 0
    for route in held:
        route.continue_()
    visit.drawn()


def test_nothing_typed_is_said_and_nothing_jumps(visit):
    def tops():
        return [visit.page.locator(place).first.bounding_box()["y"] for place in ("#tools", ".answer", ".side .said")]

    first = tops()
    for headline in (GOAL, LONG, "zqxv"):
        visit.ask(headline)
        assert tops() == pytest.approx(first, abs=3)
    visit.box.fill("   ")
    visit.box.press("Enter")
    expect(visit.page.get_by_role("alert")).to_have_text("Type a headline first.")
    assert tops() == pytest.approx(first, abs=3)
    visit.answered("zqxv")  # the last answer stays


def test_what_was_typed_stays_text(visit):
    visit.ask(HOSTILE)
    expect(visit.page.locator(".headline")).to_have_text(HOSTILE)
    expect(visit.said).to_contain_text("zqxv")
    visit.page.get_by_role("button", name="Keep it beside").click()
    expect(visit.page.locator("#said")).to_contain_text("<script>")
    visit.ask(GOAL)
    expect(visit.page.locator(".headline").first).to_have_text(HOSTILE)
    visit.page.locator(".word", has_text="jump").click()
    assert visit.page.locator("#shown script, #shown img:not([class^=only]), #said img").count() == 0
    assert visit.page.title().endswith(GOAL)
    visit.open("?" + urlencode({"headline": HOSTILE, "versus": HOSTILE + "!"}))
    visit.answered(HOSTILE)
    assert html.unescape(visit.page.title()).endswith(HOSTILE)


def test_another_class_is_explained(visit, model):
    visit.ask(STOCKS)
    visit.page.locator("#target").get_by_text("World").click()
    visit.answered(STOCKS, class_="World")
    expect(visit.page.locator(".legend")).to_contain_text("for World")
    expect(visit.picture).to_have_attribute("src", re.compile("class=World"))
    visit.addressed(class_="World")
    assert visit.shares() == shares(model.predict(STOCKS))
    visit.ask(GOAL)  # the next headline is explained for its own class again
    expect(visit.page.get_by_role("radio", name="Sports")).to_be_checked()


def test_a_word_is_left_out_by_click_and_by_keyboard(visit, model):
    visit.ask(STOCKS)
    before, without = visit.shares(), shares(model.predict(STOCKS.replace("stock ", "")))
    assert before != without
    word, other = (visit.page.locator(".word", has_text=text) for text in ("stock", "market"))
    said = visit.page.locator(".whatif")
    for leave in (word.click, lambda: word.press("Enter"), lambda: word.press("Space")):
        leave()
        expect(word).to_have_attribute("aria-pressed", "true")
        expect(said).to_contain_text(f"Without “stock”: Business {without['Business']} instead of {before['Business']}")
        assert visit.shares() == without
        leave()
        expect(word).to_have_attribute("aria-pressed", "false")
        assert visit.shares() == before
    word.click()
    other.click()  # one at a time
    expect(word).to_have_attribute("aria-pressed", "false")
    assert visit.shares() == shares(model.predict(STOCKS.replace("market ", "")))
    visit.page.locator("#target").get_by_text("World").click()  # a new answer has all words
    visit.answered(STOCKS, class_="World")
    expect(other).to_have_attribute("aria-pressed", "false")
    assert visit.shares() == before
    expect(said).to_have_text("Leave a word out: click it.")


# --- links ----------------------------------------------------------------------------------------------------------


def test_a_link_opens_with_all_it_asks(visit, hashes):
    asked = {"headline": GOAL, "class": "World", "model": f"lesson-{hashes['lesson']}", "versus": PEACE}
    visit.open("?" + urlencode(asked))
    visit.answered(**{"class_" if name == "class" else name: value for name, value in asked.items()})
    expect(visit.box).to_have_value(GOAL)
    expect(visit.page.get_by_role("radio", name="World")).to_be_checked()
    expect(visit.page.locator(".headline")).to_have_text([PEACE, GOAL])
    expect(visit.page.get_by_role("button", name="Stop comparing")).to_be_visible()
    expect(visit.page.locator(".notice")).to_have_count(0)
    assert GOAL in visit.page.title()
    panel = visit.tab("Model")
    expect(panel.get_by_role("radio", name="lesson")).to_be_checked()
    expect(panel.locator("#card")).to_contain_text("preset lesson")


def test_a_link_of_another_model_is_marked_and_a_broken_one_is_said(visit, hashes):
    visit.open("?" + urlencode({"headline": GOAL, "model": "default-0123abcd"}))
    expect(visit.page.locator(".notice")).to_contain_text("version 0123abcd")
    expect(visit.page.locator(".notice")).to_contain_text(hashes["default"])
    for broken, said in ({"class": "Weather"}, "this model has Business"), ({"model": "x-1"}, "this page has default"):
        visit.open("?" + urlencode({"headline": GOAL} | broken))
        expect(visit.page.get_by_role("alert")).to_contain_text(said)
        expect(visit.answer).to_be_visible()


def test_the_address_follows_the_answers_and_back_returns(visit):
    first = visit.page.url
    visit.ask(GOAL)
    visit.addressed(headline=GOAL)
    assert visit.page.title().endswith(GOAL)
    visit.ask(PEACE)
    visit.page.go_back()
    visit.answered(GOAL)
    expect(visit.box).to_have_value(GOAL)
    expect(visit.answer).to_be_visible()
    visit.page.go_forward()
    visit.answered(PEACE)
    visit.page.go_back()
    visit.answered(GOAL)
    visit.page.go_back()
    expect(visit.box).to_have_value("")
    expect(visit.page).to_have_url(first)


def test_a_copied_link_shows_the_same_after_the_server_was_started_again(visit, space, browser):
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.ask(STOCKS)
    visit.page.locator("#target").get_by_text("World").click()
    visit.answered(STOCKS, class_="World")
    copy = visit.page.get_by_role("button", name="Copy the link")
    copy.click()
    expect(visit.page.get_by_role("button", name="Copied")).to_be_visible()
    link = visit.page.evaluate("navigator.clipboard.readText()")
    expect(visit.page).to_have_url(link)
    with Visit(browser, space, "?" + urlsplit(link).query) as later:
        later.answered(STOCKS, class_="World")
        expect(later.page.locator(".notice")).to_have_count(0)
        assert later.shares() == visit.shares()
        assert later.said.inner_html() == visit.said.inner_html()
        assert later.page.locator(".headline").inner_html() == visit.page.locator(".headline").inner_html()


# --- comparing ------------------------------------------------------------------------------------------------------


def test_two_headlines_stand_side_by_side_until_that_is_stopped(visit, model):
    visit.ask(PEACE)
    visit.page.get_by_role("button", name="Keep it beside").click()
    expect(visit.page.locator("#said")).to_contain_text(f"Kept: “{PEACE}”")
    visit.ask(GOAL)
    expect(visit.page.locator(".headline")).to_have_text([PEACE, GOAL])
    assert [visit.shares(side) for side in (0, 1)] == [
        {name: shares(model.predict(headline))[name] for name in model.classes} for headline in (PEACE, GOAL)
    ]
    boxes = [side.bounding_box() for side in visit.page.locator(".side").all()]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    expect(visit.page.locator(".between")).to_contain_text(re.compile(r"Sports: \d+% before, \d+% now.*made most"))
    visit.addressed(headline=GOAL, versus=PEACE)
    visit.page.get_by_role("button", name="Stop comparing").click()
    expect(visit.page.locator(".headline")).to_have_text([GOAL])
    expect(visit.page.get_by_role("button", name="Keep it beside")).to_be_visible()
    expect(visit.page).not_to_have_url(re.compile("versus"))


# --- the other tabs -------------------------------------------------------------------------------------------------


def test_another_model_answers_and_is_described(visit, hashes):
    visit.ask(STOCKS)
    before = visit.shares()
    panel = visit.tab("Model")
    expect(panel.locator("#card")).to_contain_text("preset default")
    expect(panel.locator("#filters")).to_contain_text("equity, costco")
    panel.locator("#filters").get_by_placeholder("Filter").fill("playstation")
    expect(panel.locator("#filters")).not_to_contain_text("equity, costco")
    panel.get_by_role("radio", name="lesson").click()
    expect(panel.locator("#card")).to_contain_text("preset lesson")
    for figure in panel.locator(".figures img").all():
        expect(figure).to_have_attribute("src", re.compile("^figures/lesson/"))
    visit.tab("Headline")
    visit.answered(STOCKS, model=f"lesson-{hashes['lesson']}")
    assert visit.shares() != before
    lesson = HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "lesson")
    assert visit.shares() == shares(lesson.predict(STOCKS))
    visit.ask(GOAL)
    assert visit.shares() == shares(lesson.predict(GOAL))


def test_a_file_is_classified_and_comes_back(visit, tmp_path):
    source = tmp_path / "news.csv"
    source.write_text(f"id,title\n1,{GOAL}\n2,{PEACE}\n", encoding="utf-8")
    panel = visit.tab("Many")
    panel.locator("input[type=file]").set_input_files(source)
    expect(panel).to_contain_text("news.csv: 2 rows")
    panel.get_by_role("button", name="Classify all").click()
    with visit.page.expect_download() as coming:
        panel.get_by_role("button", name="Download all rows").click()
    with open(coming.value.path(), encoding="utf-8", newline="") as file:
        assert [row[:3] for row in csv.reader(file)][1:] == [["1", GOAL, "Sports"], ["2", PEACE, "World"]]


def test_the_code_has_the_address_of_the_page(visit, site):
    panel = visit.tab("Code")
    for code in panel.locator(".cm-content").all():
        expect(code).to_contain_text(site)


def test_the_picture_can_be_taken_along(visit):
    visit.ask(GOAL)
    kinds = {"PNG": b"\x89PNG", "SVG": b"<?xml", "JSON": b"{"}
    for kind, beginning in kinds.items():
        with visit.page.expect_download() as coming:
            visit.page.get_by_role("link", name=kind).click()
        assert coming.value.suggested_filename == f"{'explanation' if kind == 'JSON' else 'heat-map'}.{kind.lower()}"
        content = Path(coming.value.path()).read_bytes()
        assert content.startswith(beginning)
    assert json.loads(content)["title"] == GOAL


# --- how it looks, and who can use it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1440), ("light", 768), ("light", 360), ("dark", 1440), ("dark", 360)]
)
def test_every_tab_fits_and_is_accessible(site, browser, theme, width):
    with Visit(browser, site, theme=theme, width=width) as visit:
        visit.ask(STOCKS)
        visit.drawn()
        for name in TABS:
            visit.tab(name)
            if SCREENSHOTS:
                visit.shoot(Path(SCREENSHOTS) / f"{name}_{theme}_{width}.png")
            assert visit.sideways() <= 0, name
            if width != 768:
                assert barriers(visit.page) == [], name
        visit.tab("Headline")
        visit.page.get_by_role("button", name="Keep it beside").click()
        visit.ask(LONG)
        assert visit.sideways() <= 0
        expect(visit.page.locator("footer")).not_to_be_visible()
        pictures = [address for address in visit.asked if "/picture.png" in address]
        assert pictures
        assert all(f"style={theme}" in address for address in pictures)  # of the other theme none is loaded


def barriers(page):
    """What axe-core finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_axe_would_find_a_barrier(browser):
    page = browser.new_page()
    page.set_content('<p style="color: #ddd">Too faint</p><input>')
    assert {found.partition(":")[0] for found in barriers(page)} >= {"color-contrast", "label"}
    page.close()


def test_a_keyboard_reaches_everything_and_shows_where_it_is(visit):
    visit.box.focus()
    visit.page.keyboard.type(GOAL)
    visit.page.keyboard.press("Enter")
    visit.answered(GOAL)
    visit.page.get_by_role("tab", name="Code").focus()
    reached = []
    for _ in range(35):
        visit.page.keyboard.press("Tab")
        name, outline, style = visit.page.evaluate(
            """() => {
                const element = document.activeElement, style = getComputedStyle(element);
                const name = element.ariaLabel || element.labels?.[0]?.textContent || element.textContent;
                return [name.trim(), parseFloat(style.outlineWidth), style.outlineStyle];
            }"""
        )
        if visit.page.evaluate("document.activeElement === document.body"):
            break
        assert (outline >= 2, style) == (True, "solid"), f"{name}: nothing shows that the focus is here"
        reached.append(name)
    examples = visit.page.locator("#chips button").all_inner_texts()
    assert reached == [
        *("Headline", "Classify", *examples, "Business", "Sci/Tech", "Sports", "World"),
        *("Keep it beside the next one", *GOAL.split(), "Copy the link to this answer", "Heat map"),
        *("PNG", "SVG", "JSON"),
    ]
    visit.page.get_by_role("tab", name="Headline").focus()
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#many-lines")).to_be_visible()


# --- where it runs --------------------------------------------------------------------------------------------------


def test_as_a_space_nothing_is_fetched_from_elsewhere_either(space, browser):
    with Visit(browser, space) as visit:
        visit.ask(STOCKS)
        visit.drawn()
        for name in TABS:
            visit.tab(name)


def test_the_page_works_in_a_frame_of_another_origin(site, browser):
    """A Space is shown in a frame of huggingface.co."""

    class Parent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="{site}" width=900 height=900></iframe>'.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://localhost:{server.server_port}/")
        frame = page.frame_locator("iframe")
        box = frame.get_by_role("textbox", name="Headline")
        box.fill(GOAL, timeout=30_000)
        box.press("Enter")
        expect(frame.locator(".headline")).to_have_text(GOAL)
        frame.get_by_role("button", name="Copy the link").click()  # the clipboard may be forbidden: the link is shown
        shown = frame.get_by_role("textbox", name="Link to this answer")
        expect(shown).to_have_value(re.compile("^" + re.escape(f"{site}?{urlencode({'headline': GOAL})}")))
        frame.locator("#target").get_by_text("World").click()
        expect(frame.locator(".legend")).to_contain_text("for World")
        expect(shown).to_have_count(0)
        context.close()
        server.shutdown()


def test_a_link_to_what_the_page_opens_with_is_answered_as_soon_as_any(site, browser):
    """Its answer is the page's own first one, letter for letter: only where it came from differs."""
    with Visit(browser, site, f"?{urlencode({'headline': EXAMPLES[0]})}") as visit:
        expect(visit.page.locator("html.awaiting")).to_have_count(0, timeout=4_000)
        expect(visit.page).to_have_title(re.compile("^Business, "))
    with Visit(browser, site, "?headline=") as visit:
        expect(visit.page.locator("html.awaiting")).to_have_count(0, timeout=1_000)


def test_the_theme_of_the_address_stays_with_the_next_answer(site, browser):
    with Visit(browser, site, "?__theme=dark") as visit:
        visit.ask("Late goal wins the cup")
        expect(visit.page).to_have_url(re.compile(r"headline=Late\+goal.*&__theme=dark$"))
