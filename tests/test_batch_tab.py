"""The tab "Many headlines": as functions, and in a real browser."""

import csv
import errno
import os
import re
import time
from collections import Counter
from pathlib import Path

import gradio as gr
import pytest
from playwright.sync_api import expect, sync_playwright

from demo import batch, tables
from demo.look import CSS, THEME
from demo.models import Models, bundled
from tests.test_browser import CHROMIUM, FLAGS
from textcnn import HeadlineClassifier, scoring
from textcnn.scoring import added_columns

HEADLINES = ["Oil prices hit a record high", "Late goal wins the cup final", "Rebels sign a peace accord"]
HOSTILE = '<img src=x onerror="document.title=1"> shares ${document.title=2} {{value}} $5'


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Tab:
    """What the page would show, after one press of the button."""

    def __init__(self, models, folder):
        self.models, self.folder, self.told = models, folder, []

    def upload(self, content, name="news.csv"):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def press(self, upload=None, column=None, lines="", model="default"):
        self.said, result, self.bars, self.table, self.file = batch.answer(
            self.models, upload, column, lines, model, self.told.append
        )
        self.shown = result["visible"]
        return self

    def rows(self):
        with open(self.file, encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    def refused(self, said, **pressed):
        """A line on the page, and nothing else: no older result, no folder of the server, no file left."""
        self.press(**pressed)
        assert said in self.said
        assert re.fullmatch(r'<p role="status">[^<]*</p>', self.said)
        assert str(self.folder) not in self.said
        assert (self.shown, self.bars, self.table, self.file) == (False, "", None, None)
        assert [path for path in (self.folder / "cache").rglob("*") if path.is_file()] == []


@pytest.fixture
def tab(models, tmp_path, cache):
    return Tab(models, tmp_path)


# --- a file ---------------------------------------------------------------------------------------------------------


def test_a_file_comes_back_in_its_order_with_all_its_columns(tab):
    rows = [[str(9 - i), title, "x,y\nz"] for i, title in enumerate(HEADLINES * 3)]
    with (tab.folder / "news.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "Headline", "note"], *rows])
    tab.press(str(tab.folder / "news.csv"))
    model = tab.models["default"].classifier
    header, *answered = tab.rows()
    assert header == ["id", "Headline", "note", *added_columns(model)]
    assert [row[:3] for row in answered] == rows
    assert [row[3] for row in answered] == [prediction.label for prediction in model.predict(HEADLINES * 3)]
    assert (
        "<strong>9 headlines</strong> from Headline (column 2) of news.csv, classified by the model default" in tab.said
    )
    assert tab.shown
    assert tab.told[-1] == 1
    assert Path(tab.file).name == "headlines-classified.csv"


def test_the_table_shows_the_answers_and_the_bars_count_them(tab):
    tab.press(tab.upload("title\n" + "\n".join(HEADLINES * 2)))
    assert tab.table["value"]["headers"] == [
        "Headline",
        "Label",
        "Business",
        "Sci/Tech",
        "Sports",
        "World",
        "Unknown words",
    ]
    first = tab.table["value"]["data"][0]
    assert first[:2] == [HEADLINES[0], "Business"]
    assert sum(map(float, first[2:6])) == pytest.approx(1, abs=0.003)
    assert tab.table["label"] == "All rows"
    found = dict(re.findall(r'<th scope="row">([^<]+)</th>.*?<td class="share">(\d+)</td>', tab.bars))
    assert found == {"Business": "2", "Sci/Tech": "0", "Sports": "2", "World": "2"}


def test_of_many_rows_the_first_are_shown_and_said_to_be_so(tab):
    tab.press(tab.upload("title\n" + "Oil prices rise\n" * 1_234))
    assert len(tab.table["value"]["data"]) == 200
    assert tab.table["label"] == "The first 200 of 1,234; the file has all"
    assert len(tab.rows()) == 1_235


def test_a_long_headline_is_cut_in_the_table_alone(tab):
    tab.press(tab.upload("title\n" + "oil " * 1_000))
    assert len(tab.table["value"]["data"][0][0]) == 300
    assert tab.rows()[1][0] == "oil " * 1_000


@pytest.mark.parametrize("name", ["default", "lesson"])
def test_each_model_can_be_asked(tab, name):
    tab.press(lines="\n".join(HEADLINES), model=name)
    wanted = [prediction.label for prediction in tab.models[name].classifier.predict(HEADLINES)]
    assert [row[1] for row in tab.rows()[1:]] == wanted
    assert f"the model {name}" in tab.said


def test_headlines_of_unknown_words_and_blank_lines_are_counted(tab):
    tab.press(tab.upload('title,n\nzqxv wwxx,1\n\n"",2\nOil up,3\n\n'))
    assert "2 blank lines passed over. Little more than guesses: 2 headlines, most of whose words" in tab.said
    assert len(tab.rows()) == 4


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_utf_8_is_read_with_and_without_its_mark(tab, mark):
    tab.press(tab.upload(mark + "title\nCafé prices rise\n".encode()))
    assert tab.rows()[:2][1][0] == "Café prices rise"
    assert tab.rows()[0][0] == "title"


def test_two_requests_never_share_a_file(tab):
    upload = tab.upload("title\nOil up\n")
    assert tab.press(upload).file != tab.press(upload).file


# --- the column -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("id,title", "title (column 2)"),
        ("text,Headline,n", "Headline (column 2)"),
        ("n, TEXTS , HEADLINES", "HEADLINES (column 3)"),
        ("x,title,title", "title (column 2)"),
        ('"",text', "text (column 2)"),
    ],
)
def test_the_column_is_found_by_its_name(tab, header, chosen):
    column, noted = batch.noticed(tab.upload(f"{header}\n{',' * header.count(',')}\n"))
    assert (column["value"], column["visible"]) == (chosen, True)
    assert "1 row below" in noted
    assert "None is named" not in noted


def test_without_such_a_name_the_first_is_proposed_and_that_is_said(tab):
    column, noted = batch.noticed(tab.upload(",b\n1,2\n"))
    assert column["value"] == "no name (column 1)"
    assert column["choices"] == ["no name (column 1)", "b (column 2)"]
    assert "None is named title, headline, titles, headlines or text: choose the one" in noted


def test_another_column_can_be_chosen_even_of_the_same_name(tab):
    upload = tab.upload("title,title\nLate goal wins the cup final,Oil prices hit a record high\n")
    assert tab.press(upload).rows()[1][2] == "Sports"
    assert tab.press(upload, "title (column 2)").rows()[1][2] == "Business"


def test_a_column_of_an_earlier_file_is_refused(tab):
    tab.refused("news.csv has no a&lt;b (column 3): choose", upload=tab.upload("title\nOil\n"), column="a<b (column 3)")


def test_no_file_hides_the_columns():
    column, noted = batch.noticed(None)
    assert (column["visible"], column["value"], noted) == (False, None, "")


# --- pasted lines ---------------------------------------------------------------------------------------------------


def test_pasted_lines_are_answered_and_blank_ones_passed_over(tab):
    tab.press(lines='\nOil prices rise\r\n   \n  Late goal, "cup" final\u2028said \n\n')
    assert [row[0] for row in tab.rows()] == ["title", "Oil prices rise", '  Late goal, "cup" final\u2028said ']
    assert "<strong>2 headlines</strong> from the pasted text" in tab.said
    assert "2 blank lines passed over." in tab.said
    assert os.listdir(Path(tab.file).parent) == ["headlines-classified.csv"]  # what Gradio will remove


def test_pasted_lines_ignore_a_column_that_was_chosen_before(tab):
    assert tab.press(lines="Oil prices rise", column="gone (column 7)").shown


def test_half_a_character_becomes_a_sign_for_it(tab):
    tab.press(lines="Oil \ud83d up \ud83d\ude00")
    assert tab.rows()[1][0] == "Oil \ufffd up 😀"


# --- mistakes -------------------------------------------------------------------------------------------------------

MISTAKES = {
    "empty": ("", "news.csv is empty"),
    "blank first line": ("\ntitle\nOil\n", "The first line of news.csv is blank"),
    "header alone": ("title,n\n\n", "news.csv has no row below its first line"),
    "cp1252": ("title\nOil\nCafé\n".encode("cp1252"), "news.csv is not UTF-8 text: byte 0xe9 in line 3"),
    "utf-16": ("title\nOil\n".encode("utf-16"), "news.csv is not UTF-8 text: byte 0xff in line 1"),
    "spreadsheet": (b"PK\x03\x04\x14\x00\x06\x00\xb5\xff", "news.csv is not UTF-8 text"),
    "semicolons": ("title;n\nOil;1\n", "news.csv has semicolons where commas are expected"),
    "tabs": ("title\tn\nOil\t1\n", "news.csv has tabs where commas are expected"),
    "open quotation mark": ('title\n"' + "Oil up\n" * 30_000, "Is a quotation mark left open?"),
    "columns": ("x," * 600 + "\n1\n", "news.csv has 601 columns; at most 500"),
}
LATER = {
    "ragged": ("title,n\nOil,1\nOil, shares,1\n", "news.csv, line 3: 3 fields, the header has 2"),
    "ours": ("title,unknown_share\nOil,1\n", "news.csv has the columns [&#x27;unknown_share&#x27;] already"),
}


@pytest.mark.parametrize("kind", [*MISTAKES, *LATER])
def test_a_file_that_cannot_be_classified_is_said_on_the_page(tab, kind):
    content, said = (MISTAKES | LATER)[kind]
    tab.refused(said, upload=tab.upload(content))


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_can_be_seen_at_once_is_said_after_the_upload(tab, kind):
    content, said = MISTAKES[kind]
    column, noted = batch.noticed(tab.upload(content))
    assert said in noted
    assert column["visible"] is False


def test_the_name_of_a_file_stays_text(tab):
    tab.refused("a&lt;b&gt;.csv is empty", upload=tab.upload("", "a<b>.csv"))
    assert "&lt;b&gt;" in batch.noticed(tab.upload("title\nOil\n", "a<b>.csv"))[1]
    assert "<b>" not in tab.press(tab.upload("<b>\nOil\n", "a<b>.csv")).said


@pytest.mark.parametrize("lines", ["", None, " \n\n "])
def test_nothing_to_classify_is_said(tab, lines):
    tab.refused("Upload a CSV or paste some headlines first.", lines=lines)


def test_a_file_and_lines_are_one_too_many(tab):
    tab.refused("remove one", upload=tab.upload("title\nOil\n"), lines="Goal")


def test_a_file_that_the_server_has_removed_is_asked_for_again(tab):
    tab.refused("news.csv is no longer on the server: upload it again.", upload=str(tab.folder / "news.csv"))


def test_an_unknown_model_is_named(tab):
    tab.refused("this page has default, lesson", lines="Oil", model="<b>")


def test_too_many_rows_are_refused_with_both_numbers(tab, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    assert tab.press(lines="a\n\nb").shown
    (path,) = (path for path in (tab.folder / "cache").rglob("*.csv"))
    path.unlink()
    tab.refused("The pasted text has 3 rows; at most 2", lines="a\nb\nc")
    tab.refused("news.csv has 3 rows; at most 2", upload=tab.upload("title\na\nb\nc\n"))


def test_too_much_text_is_refused_with_both_sizes(tab, monkeypatch):
    monkeypatch.setattr(tables, "MAX_BYTES", 2**20)
    tab.refused("news.csv has 3 MB; at most 1 MB", upload=tab.upload("title\n" + "x" * (3 * 2**20)))
    tab.refused("The pasted lines have 3 MB; at most 1 MB", lines="x" * (3 * 2**20))


def test_too_long_a_line_is_named(tab):
    tab.refused("Line 3 has 200,000 characters", lines="Oil\n\n" + "x" * 200_000)


def test_the_limits_stand_on_the_page():
    assert "20 MB and 100,000 rows" in batch.INTRO


def test_a_full_disk_shows_no_folder(tab, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scoring.os, "replace", full)
    tab.refused("headlines-classified.csv cannot be written: No space left on device", lines="Oil")


def test_a_fault_leaves_no_file(tab, monkeypatch):
    def fault(*_, **__):
        raise ValueError

    monkeypatch.setattr(batch, "score_csv", fault)
    with pytest.raises(ValueError):  # noqa: PT011  # any
        tab.press(lines="Oil")
    assert [path for path in (tab.folder / "cache").rglob("*") if path.is_file()] == []


# --- the page -------------------------------------------------------------------------------------------------------


def blocks(models):
    with gr.Blocks(analytics_enabled=False, delete_cache=(600, 3600)) as page, gr.Tab("Many"):
        batch.build(models)
    return page


def test_nothing_in_the_tab_is_public_and_one_file_is_read_at_a_time(models, cache):
    dependencies = blocks(models).fns.values()
    assert {function.api_visibility for function in dependencies} == {"private"}
    assert [(f.concurrency_id, f.concurrency_limit) for f in dependencies if f.fn.__name__ == "run"] == [("batch", 1)]


@pytest.fixture(scope="module")
def site(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        page = blocks(models)
        _, url, _ = page.launch(
            prevent_thread_lock=True, quiet=True, theme=THEME, css=CSS + batch.CSS, ssr_mode=False, footer_links=[],
            server_name="127.0.0.1", max_file_size=batch.MAX_BYTES,
        )  # fmt: skip
        yield url
        assert list(folder.rglob("*.csv"))
        page.close()
        assert list(folder.rglob("*.csv")) == []  # Gradio knows of each file, and removes it


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.skip("no chromium: apt-get install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, site, request):
    theme, width = getattr(request, "param", ("light", 1280))
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    trouble = []
    page.on("console", lambda line: line.type == "error" and trouble.append(line.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(f"{site}?__theme={theme}", wait_until="domcontentloaded")
    expect(page.locator("#many-go")).to_be_visible(timeout=30_000)
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # no sideways scrolling
    assert trouble == []
    context.close()


def test_a_file_goes_up_is_answered_with_a_bar_and_comes_down(visit, tmp_path, monkeypatch):
    original = HeadlineClassifier.predict_table

    def slowly(self, titles):
        time.sleep(0.1)
        return original(self, titles)

    monkeypatch.setattr(HeadlineClassifier, "predict_table", slowly)
    monkeypatch.setattr(scoring, "_CHUNK", 200)
    source = tmp_path / "wire news.csv"
    source.write_text("id,Title\n" + "".join(f"{n},{HEADLINES[n % 3]} {n}\n" for n in range(4_000)), encoding="utf-8")
    visit.locator("#many-file input[type=file]").set_input_files(source)
    expect(visit.locator("#many-noted [role=status]")).to_contain_text("wire news.csv: 4,000 rows")
    expect(visit.get_by_label("Column with the headlines")).to_have_value("Title (column 2)")
    visit.locator("#many-go").click()
    expect(visit.locator("#many-said")).to_contain_text(re.compile(r"Classifying - [1-9]"))
    expect(visit.locator("#many-said [role=status]")).to_contain_text("4,000 headlines from Title (column 2)")
    expect(visit.locator("#many-table")).to_contain_text(f"{HEADLINES[0]} 0")
    with visit.expect_download() as coming:
        visit.get_by_role("button", name="Download all rows as CSV").click()
    assert coming.value.suggested_filename == "headlines-classified.csv"
    with open(coming.value.path(), encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["id", "Title", "predicted_label"]
    assert [row[0] for row in rows] == [str(n) for n in range(4_000)]
    counts = Counter(row[2] for row in rows)
    for name in ("Business", "Sports", "World"):
        expect(visit.locator("#many-bars tr", has_text=name).locator(".share").first).to_have_text(f"{counts[name]:,}")


@pytest.mark.parametrize("visit", [("light", 360), ("dark", 360)], indirect=True, ids=["light", "dark"])
def test_pasted_lines_stay_text_on_a_phone_and_a_mistake_clears_the_result(visit):
    visit.get_by_label("Or headlines, one a line").fill(f"{HOSTILE}\n\n{HEADLINES[1]}")
    visit.get_by_label("lesson").check()
    visit.locator("#many-go").click()
    expect(visit.locator("#many-said [role=status]")).to_contain_text("2 headlines from the pasted text")
    expect(visit.locator("#many-said [role=status]")).to_contain_text("1 blank line passed over")
    expect(visit.locator("#many-table")).to_contain_text(HOSTILE)
    expect(visit.locator("#many-result img")).to_have_count(0)
    assert visit.title() not in ("1", "2")
    bar, paper = (
        visit.locator(place).first.evaluate("element => getComputedStyle(element).backgroundColor")
        for place in ("#many-bars .first .track span", "body")
    )
    assert bar != paper
    assert visit.evaluate("document.documentElement.scrollWidth") <= 360
    visit.get_by_label("Or headlines, one a line").fill("  ")
    visit.locator("#many-go").click()
    expect(visit.locator("#many-said")).to_have_text("Upload a CSV or paste some headlines first.")
    expect(visit.locator("#many-result")).to_be_hidden()
