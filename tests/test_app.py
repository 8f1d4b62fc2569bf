"""The demo as functions: what a headline typed in the page or sent to the endpoint gives back."""

import json
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

import app
from tests.conftest import AWKWARD, ROOT, STOCKS


@pytest.fixture(autouse=True)
def _pictures_in_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


def test_a_headline_gets_all_classes_a_line_and_a_picture_for_each_theme():
    distribution, said, light, dark = app.show(STOCKS)
    assert set(distribution) == {"Business", "Sci/Tech", "Sports", "World"}
    assert sum(distribution.values()) == pytest.approx(1)
    assert next(iter(distribution)) == "Business"
    assert "<strong>Business</strong>" in said
    for path in (light, dark):
        assert Path(path).read_bytes().startswith(b"\x89PNG")
    assert Path(light).read_bytes() != Path(dark).read_bytes()


def test_the_endpoint_gives_what_the_page_shows():
    distribution, picture = app.classify(STOCKS)
    assert distribution == app.show(STOCKS)[0]
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_the_line_names_the_words_that_the_model_does_not_know_as_typed():
    assert "does not know <em>Zorblax</em>, <em>北京</em>." in app.show("Zorblax shares rise in 北京")[1]
    assert "knows all of these words" in app.show("oil prices rise")[1]


def test_what_was_typed_stays_text():
    said = app.show("shares of <img src=x onerror=alert(1)> zq&zv rise")[1]
    assert "<img" not in said


@pytest.mark.parametrize("headline", ["", "   ", "\n", None])
def test_nothing_typed_is_said_and_the_last_answer_stays(headline):
    distribution, said, light, dark = app.show(headline)
    assert "Type a headline first." in said
    assert [value["__type__"] for value in (distribution, light, dark)] == ["update"] * 3
    with pytest.raises(gr.Error, match=r"Type a headline first\."):
        app.classify(headline)


def test_too_long_a_headline_is_refused_with_both_lengths():
    with pytest.raises(gr.Error, match="10,000 characters long; a headline may have 1,000"):
        app.classify("x" * 10_000)


@pytest.mark.parametrize("headline", [text for text in AWKWARD if text.strip() and len(text) <= app.MAX_CHARACTERS])
def test_awkward_headlines_are_answered(headline):
    distribution, _said, light, _dark = app.show(headline)
    assert sum(distribution.values()) == pytest.approx(1)
    assert Path(light).stat().st_size > 1000


def test_a_headline_of_mostly_unknown_words_is_answered_with_doubt():
    assert "little more than a guess" in app.show("Zorblax quuxed the frobnicator")[1]
    assert "little more than a guess" not in app.show("Zorblax shares rise on profit")[1]


def test_a_headline_without_a_word_says_so():
    assert "no word to read" in app.show("?!")[1]


def test_equal_headlines_never_share_a_file():
    """Gradio has served cut pictures where two equal requests wrote one path at once."""
    assert app.classify(STOCKS)[1] != app.classify(STOCKS)[1]


def test_examples_are_of_all_four_classes_and_right():
    found = [app.MODEL.predict(example).label for example in app.EXAMPLES]
    assert found == ["Business", "Sci/Tech", "Sports", "World", "Business"]


def test_the_endpoint_has_a_name_and_a_docstring_and_nothing_else_is_public():
    page = app.build()
    public = {
        dependency["api_name"]
        for dependency in page.config["dependencies"]
        if dependency["api_visibility"] == "public" and dependency["api_name"]
    }
    assert public == {"classify"}
    assert json.dumps(page.get_api_info())  # it can be described
    assert "heat map" in (app.classify.__doc__ or "")


def test_importing_the_app_starts_nothing():
    code = "import app, gradio as gr; print([n for n, v in vars(app).items() if isinstance(v, gr.Blocks)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr
