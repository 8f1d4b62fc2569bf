"""What happens on the page when a visitor does something: the components that a handler changes, and to what."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.datastructures import QueryParams

from demo import about
from demo.answer import answer
from demo.drawing import Drawing
from demo.links import MAX_CHARACTERS, Query
from demo.models import Models, bundled
from demo.page import EXAMPLES, Page
from tests.conftest import STOCKS

OTHER = "Late goal sends Zorblax into the cup final"
HOSTILE = "<script>alert('1')</script> & \"oil\""
LONG = "x" * (MAX_CHARACTERS + 1)


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


@pytest.fixture(scope="module")
def page(models):
    return Page(models, Drawing(models))


def outputs(page, name):
    """The components that Gradio lets a handler change."""
    found = [set(function.outputs) for function in page.blocks.fns.values() if function.name == name]
    assert found, f"{name} is not connected"
    return set.intersection(*found)


@pytest.fixture
def does(page):
    """Call a handler; what it changes it must be allowed to change."""

    def call(handler, *arguments):
        updates = handler(*arguments)
        assert set(updates) <= outputs(page, handler.__name__)
        return updates

    return call


@pytest.fixture
def opened(page, does):
    """Open an address; the updates."""
    return lambda search="": does(page.open, SimpleNamespace(query_params=QueryParams(search)))


def mistaken(page, updates, said):
    """Only the line below the box changes: the last answer stays, and with it what was asked and kept."""
    assert set(updates) == {page.said}
    assert 'role="alert"' in updates[page.said]
    assert text(updates[page.said]) == said


def text(markup):
    parts = []

    class Parser(HTMLParser):
        def handle_data(self, data):
            parts.append(data)

    Parser().feed(markup)
    return "".join(parts)


def compares(page, updates, kept):
    """One of the two buttons is there."""
    assert updates[page.kept] == kept
    assert updates[page.keep]["visible"] is not bool(kept)
    assert updates[page.release]["visible"] is bool(kept)


# --- as it opens ----------------------------------------------------------------------------------------------------


def test_the_page_opens_with_an_answer(page, models):
    assert page.shown.value == answer(models, Query(EXAMPLES[0]), "page")
    assert page.target.value == models["default"].classifier.predict(EXAMPLES[0]).label
    assert page.asked.value == EXAMPLES[0]
    assert page.kept.value == ""
    assert page.model.value == "default"
    assert page.keep.visible
    assert not page.release.visible
    assert page.said.value == ""


def test_the_box_takes_as_much_as_the_server_and_is_empty(page):
    assert page.headline.max_length == MAX_CHARACTERS
    assert not page.headline.value


def test_every_class_and_model_can_be_chosen(page, models):
    assert [value for _, value in page.target.choices] == models["default"].classifier.classes
    assert [value for _, value in page.model.choices] == models.names


def test_everything_that_a_visitor_can_do_is_connected(page):
    """The component and the event, and which handler answers."""
    connected = {
        (page.blocks.blocks[component].elem_id, event, function.name)
        for function in page.blocks.fns.values()
        for component, event in function.targets
        if component in page.blocks.blocks
    }
    assert connected >= {
        ("headline", "submit", "ask"),
        ("target", "input", "retarget"),
        ("keep", "click", "hold"),
        ("release", "click", "let_go"),
        ("model", "input", "switch"),
    }
    names = [function.name for function in page.blocks.fns.values()]
    assert names.count("ask") == 2  # typed, and an example
    assert "open" in names


def test_the_handlers_of_the_page_are_no_endpoints(page):
    public = {function.name for function in page.blocks.fns.values() if function.api_visibility != "private"}
    assert public == {"classify", "explain", "batch"}


def test_what_waits_is_bounded_and_files_are_removed(page):
    assert page.blocks._queue.max_size == 64
    every, age = page.blocks.delete_cache
    assert every <= age <= 3600
    answering = [function for function in page.blocks.fns.values() if function.concurrency_id == "answer"]
    assert {function.name for function in answering} == {"ask", "retarget", "hold", "let_go", "switch", "open"}


def test_nothing_is_counted_elsewhere_and_no_bar_of_a_space_is_added(page):
    assert page.blocks.analytics_enabled is False
    assert page.blocks.space_id is None


# --- ask ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headline", [STOCKS, HOSTILE, "?!", *EXAMPLES])
@pytest.mark.parametrize("model", ["default", "lesson"])
def test_a_headline_is_answered(page, models, does, headline, model):
    assert does(page.ask, headline, model, "") == {
        page.said: "",
        page.target: models[model].classifier.predict(headline).label,
        page.shown: answer(models, Query(headline, None, model)),
        page.asked: headline,
    }


def test_an_answer_asked_for_gets_an_entry_of_the_history_and_a_links_does_not(page, does, opened):
    assert 'data-source="visitor"' in does(page.ask, STOCKS, "default", "")[page.shown]
    assert 'data-source="visitor"' in does(page.retarget, STOCKS, "World", "default", "")[page.shown]
    assert 'data-source="link"' in opened("headline=oil")[page.shown]
    assert 'data-source="page"' in page.shown.value


def test_a_headline_is_answered_beside_the_one_that_was_kept(page, models, does):
    updates = does(page.ask, STOCKS, "default", OTHER)
    assert updates[page.shown] == answer(models, Query(STOCKS, None, "default", OTHER))
    assert "count-2" in updates[page.shown]
    assert updates[page.asked] == STOCKS
    assert page.kept not in updates  # it stays kept for the next one


@pytest.mark.parametrize(
    ("headline", "said"),
    [
        ("", "Type a headline first."),
        (" \n ", "Type a headline first."),
        (None, "Type a headline first."),
        (LONG, "This is 1,001 characters long; a headline may have 1,000."),
        ("half \ud83c of a ball", "Character 6 is half of one, '\\ud83c': no link can hold it."),
    ],
)
@pytest.mark.parametrize("kept", ["", OTHER])
def test_after_a_mistake_the_last_answer_stays(page, does, headline, said, kept):
    mistaken(page, does(page.ask, headline, "default", kept), said)


def test_what_is_said_of_a_mistake_goes_with_the_next_answer(page, does):
    assert does(page.ask, "", "default", "")[page.said]
    assert does(page.ask, "oil", "default", "")[page.said] == ""


# --- retarget, hold, let go, switch ---------------------------------------------------------------------------------


def test_another_class_of_the_same_headline_is_explained(page, models, does):
    updates = does(page.retarget, STOCKS, "World", "lesson", "")
    assert updates[page.shown] == answer(models, Query(STOCKS, "World", "lesson"))
    assert updates[page.target] == "World"
    assert updates[page.asked] == STOCKS
    beside = does(page.retarget, STOCKS, "World", "default", OTHER)
    assert beside[page.shown] == answer(models, Query(STOCKS, "World", "default", OTHER))


def test_an_unknown_class_is_a_mistake(page, does):
    said = "Got the class 'Weather': this model has Business, Sci/Tech, Sports, World."
    mistaken(page, does(page.retarget, STOCKS, "Weather", "default", ""), said)


def test_a_headline_is_kept_and_the_answer_stays(page, does):
    updates = does(page.hold, STOCKS)
    compares(page, updates, STOCKS)
    assert f"“{STOCKS}”" in text(updates[page.said])
    assert 'role="status"' in updates[page.said]
    assert page.shown not in updates


def test_a_kept_headline_is_named_as_text_and_cut(page, does):
    updates = does(page.hold, HOSTILE)
    assert "<script" not in updates[page.said]
    assert f"“{HOSTILE}”" in text(updates[page.said])
    assert f"“{'y' * 59}…”" in text(does(page.hold, "y" * 1000)[page.said])
    compares(page, does(page.hold, "y" * 1000), "y" * 1000)


def test_a_kept_headline_is_let_go_and_the_last_one_shown_alone(page, models, does):
    updates = does(page.let_go, STOCKS, "Sports", "lesson")
    compares(page, updates, "")
    assert updates[page.shown] == answer(models, Query(STOCKS, "Sports", "lesson"))
    assert "count-1" in updates[page.shown]
    assert updates[page.target] == "Sports"


def test_another_model_answers_the_last_headline_and_is_described(page, models, does):
    updates = does(page.switch, STOCKS, "lesson", OTHER)
    assert updates[page.shown] == answer(models, Query(STOCKS, None, "lesson", OTHER))
    assert updates[page.target] == models["lesson"].classifier.predict(STOCKS).label
    card, figures, table = about.content(models["lesson"])
    assert [updates[component] for component in page.about] == [card, figures, table]


# --- open -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["", "__theme=dark", "headline=", "model=lesson", "class=Sports&versus=oil"])
def test_an_address_that_asks_nothing_changes_nothing(page, opened, search):
    updates = opened(search)
    assert set(updates) == {page.said}
    assert updates[page.said] == gr.skip()


@pytest.mark.parametrize("headline", [STOCKS, HOSTILE, "a&class=World #1 + 100% 北京\nx"])
def test_a_link_is_answered_and_its_headline_stands_in_the_box(page, models, opened, headline):
    updates = opened(Query(headline).link(models)[1:])
    link = Query(headline, None, "default", None, models.hashes["default"])
    assert updates == {
        page.said: "",
        page.target: models["default"].classifier.predict(headline).label,
        page.shown: answer(models, link, "link"),
        page.asked: headline,
        page.headline: headline,
    }
    assert "notice" not in updates[page.shown]


def test_a_link_opens_with_its_class_its_model_and_its_other_headline(page, models, opened):
    query = Query(STOCKS, "World", "lesson", OTHER)
    updates = opened(query.link(models)[1:])
    assert updates[page.target] == "World"
    assert updates[page.model] == "lesson"
    assert [updates[component] for component in page.about] == [*about.content(models["lesson"])]
    assert "count-2" in updates[page.shown]
    compares(page, updates, OTHER)
    assert updates[page.headline] == updates[page.asked] == STOCKS


def test_what_an_opened_link_set_is_what_the_next_question_gets(page, models, does, opened):
    updates = opened(Query(STOCKS, "World", "lesson", OTHER).link(models)[1:])
    again = does(page.retarget, *(updates[part] for part in (page.asked, page.target, page.model, page.kept)))
    link = re.compile('data-link="([^"]*)"')
    assert link.search(again[page.shown])[1] == link.search(updates[page.shown])[1]


def test_a_link_of_another_model_is_answered_with_a_notice(page, models, opened):
    updates = opened("headline=oil&model=default-0123abcd")
    assert 'class="notice"' in updates[page.shown]
    assert "0123abcd" in updates[page.shown]
    assert models.hashes["default"] in updates[page.shown]
    assert updates[page.said] == ""


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("headline=+", "Type a headline first."),
        ("headline=" + LONG, "This is 1,001 characters long; a headline may have 1,000."),
        ("headline=oil&versus=" + LONG, "This is 1,001 characters long; a headline may have 1,000."),
        ("headline=oil&class=%3Cb%3E", "Got the class '<b>': this model has Business, Sci/Tech, Sports, World."),
        ("headline=oil&model=%3Cscript%3E", "Got the model '<script>': this page has default, lesson."),
    ],
)
def test_a_bad_link_says_what_is_wrong_and_the_first_answer_stays(page, opened, search, said):
    mistaken(page, opened(search), said)


def test_visitors_share_nothing(page, does, opened):
    """Whatever others asked and kept, the same question gets the same answer."""
    before = does(page.ask, STOCKS, "default", "")
    does(page.hold, OTHER)
    does(page.switch, OTHER, "lesson", "")
    does(page.retarget, STOCKS, "World", "default", OTHER)
    opened("headline=oil&model=lesson&versus=gas")
    assert does(page.ask, STOCKS, "default", "") == before
    assert page.asked.value == EXAMPLES[0]
    assert page.kept.value == ""
