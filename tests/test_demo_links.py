"""What is asked of the page, and the link that asks it again."""

import re
from dataclasses import replace
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from demo.links import MAX_CHARACTERS, Query, checked
from demo.models import Models, bundled
from textcnn import DataError

CLASSES = ["Business", "Sci/Tech", "Sports", "World"]
ODD = '<b>"Q&A"</b> 100% #1 a+b=c; ?x=y&class=Sports \n\ttab \\ \'é北京🏀\x00'

headlines = st.text(min_size=1, max_size=80).filter(str.strip)


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


def read(link, models):
    """As the page reads the address that a browser opened."""
    return Query.from_parameters(QueryParams(urlsplit(urljoin("http://127.0.0.1:7860/demo/", link)).query), models)


@given(
    headline=headlines,
    target=st.none() | st.sampled_from(CLASSES),
    model=st.sampled_from(["default", "lesson"]),
    versus=st.none() | headlines,
)
@example(headline=ODD, target="Sci/Tech", model="lesson", versus=ODD)
@example(headline="&class=World", target=None, model="default", versus="&model=lesson")
@example(headline="a" * MAX_CHARACTERS, target=None, model="default", versus="é" * MAX_CHARACTERS)
def test_a_link_asks_the_same_again(models, headline, target, model, versus):
    query = Query(headline, target, model, versus)
    link = query.link(models)
    assert read(link, models) == replace(query, seen_hash=models.hashes[model])
    assert re.fullmatch(r"\?[\w.~%+=&*-]+", link, re.ASCII)  # it can be pasted anywhere
    assert read(link, models).warning(models) is None


def test_a_link_names_the_hash_of_the_model_that_answered(models):
    for model in models.names:
        link = Query("oil", None, model).link(models)
        assert dict(parse_qsl(link[1:])) == {"headline": "oil", "model": f"{model}-{models.hashes[model]}"}


def test_a_link_made_with_another_model_is_answered_with_a_warning_that_names_both(models):
    query = Query.from_parameters({"headline": "oil", "model": "lesson-0123abcd"}, models)
    assert query == Query("oil", None, "lesson", None, "0123abcd")
    warning = query.warning(models)
    assert "0123abcd" in warning
    assert models.hashes["lesson"] in warning
    assert "“lesson”" in warning
    assert models.hashes["lesson"] in query.link(models)  # the new link is of the model that answers now


def test_a_long_hash_is_cut_in_the_warning(models):
    warning = Query.from_parameters({"headline": "oil", "model": "default-" + "z" * 5_000}, models).warning(models)
    assert "zzzzzzzz " in warning
    assert len(warning) < 200


@pytest.mark.parametrize("parameters", [{}, {"model": "default"}, {"model": "lesson"}, {"model": "lesson-"}])
def test_a_link_without_a_hash_is_answered_without_a_warning(models, parameters):
    query = Query.from_parameters({"headline": "oil"} | parameters, models)
    assert query.seen_hash is None
    assert query.warning(models) is None
    assert query.model == parameters.get("model", "default").rstrip("-")


def test_a_short_address_typed_by_hand_means_the_defaults(models):
    assert read("?headline=oil+prices", models) == Query("oil prices")
    assert read("?headline=oil%20prices&class=&versus=", models) == Query("oil prices")


LONG = "x" * (MAX_CHARACTERS + 1)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "Type a headline first."),
        ({"headline": ""}, "Type a headline first."),
        ({"headline": " \n\t "}, "Type a headline first."),
        ({"headline": LONG}, "This is 1,001 characters long; a headline may have 1,000."),
        ({"headline": "a", "versus": LONG}, "This is 1,001 characters long; a headline may have 1,000."),
        ({"headline": "a", "versus": "  "}, "Type a headline first."),
        ({"headline": "a", "model": "gpt-5"}, "Got the model 'gpt': this page has default, lesson."),
        ({"headline": "a", "model": ""}, "Got the model '': this page has default, lesson."),
        ({"headline": "a", "model": LONG}, f"Got the model '{'x' * 40}': this page has default, lesson."),
        (
            {"headline": "a", "class": "sports"},
            "Got the class 'sports': this model has Business, Sci/Tech, Sports, World.",
        ),
        (
            {"headline": "a", "class": LONG},
            f"Got the class '{'x' * 40}': this model has Business, Sci/Tech, Sports, World.",
        ),
    ],
)
def test_a_mistake_in_a_link_is_named_with_what_was_got_and_what_may_be(models, parameters, said):
    with pytest.raises(DataError) as caught:
        Query.from_parameters(parameters, models)
    assert str(caught.value) == said


def test_of_parameters_given_twice_the_last_one_counts(models):
    query = read("?headline=first&headline=second&class=Sports&class=World&model=lesson&model=default", models)
    assert query == Query("second", "World", "default")


def test_what_is_no_text_is_refused_by_its_type():
    for thing in (5, ["oil"], {"a": 1}, b"oil"):
        with pytest.raises(DataError, match=f"Got {type(thing).__name__}: a headline is a text"):
            checked(thing)
    with pytest.raises(DataError, match="Type a headline first"):
        checked(None)


def test_half_of_a_character_is_refused_as_no_link_could_hold_it():
    with pytest.raises(DataError, match=r"Character 6 is half of one, '\\ud83c'"):
        checked("half \ud83c of a ball")
    assert checked("a whole 🏀") == "a whole 🏀"


def test_a_headline_that_can_be_answered_is_left_as_it_is():
    for headline in ("  oil  ", "line\nbreak", "a" * MAX_CHARACTERS, "nul \x00"):
        assert checked(headline) == headline
