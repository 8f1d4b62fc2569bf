"""The answer as HTML: what a visitor reads, what a click on a word shows, and that nothing typed becomes markup."""

import io
import re
import time
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.datastructures import QueryParams

from demo.answer import answer, difference, in_words
from demo.links import MAX_CHARACTERS, Query
from demo.models import Models, Served, bundled
from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import DataError, Explanation
from textcnn.plots import alternative_text, heatmap
from textcnn.sheet import to_png
from textcnn.text import Token

ANSWERED = [headline for headline in AWKWARD if headline.strip() and len(headline) <= MAX_CHARACTERS]
HOSTILE = (
    "Shares of <img src=x onerror=\"alert('1')\"> </p></section><script>alert(2)</script> & &amp; jump `${1}` \"'><b>"
)
VOID = {"img", "br", "input", "hr", "meta"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self):
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def classes(self):
        return self.attributes.get("class", "").split()

    def all(self, tag=None, of_class=None):
        for child in self.children:
            if isinstance(child, Element):
                if tag in (None, child.tag) and (of_class is None or of_class in child.classes):
                    yield child
                yield from child.all(tag, of_class)

    def one(self, tag=None, of_class=None):
        (found,) = self.all(tag, of_class)
        return found


def parsed(markup):
    """The tree of a piece of HTML, whose tags must all be closed in order."""
    root = Element("", {})
    open_ = [root]

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert len(dict(attributes)) == len(attributes), f"an attribute twice: {attributes}"
            element = Element(tag, {name: value or "" for name, value in attributes})
            open_[-1].children.append(element)
            if tag not in VOID:
                open_.append(element)

        def handle_endtag(self, tag):
            assert open_.pop().tag == tag

        def handle_data(self, data):
            open_[-1].children.append(data)

        def handle_comment(self, data):
            raise AssertionError(f"a comment: {data}")

    parser = Parser()
    parser.feed(markup)
    parser.close()
    assert open_ == [root]
    return root


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


@pytest.fixture
def shown(models):
    return lambda *query, source="visitor": parsed(answer(models, Query(*query), source))


def numbers(text):
    return [float(number) for number in text.split(",")]


def asked_by(address):
    """The path of a link, and what it asks; each parameter once."""
    parts = urlsplit(address)
    parameters = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values())
    return parts.path, {name: value for name, (value,) in parameters.items()}


# --- one headline ---------------------------------------------------------------------------------------------------

TAGS = {
    "section",
    "div",
    "p",
    "strong",
    "table",
    "caption",
    "tbody",
    "tr",
    "th",
    "td",
    "span",
    "button",
    "figure",
    "img",
    "figcaption",
    "a",
    "em",
}
ATTRIBUTES = {
    "class",
    "data-link",
    "data-title",
    "data-source",
    "data-values",
    "role",
    "scope",
    "aria-hidden",
    "aria-live",
    "aria-pressed",
    "aria-label",
    "style",
    "title",
    "data-without",
    "data-said",
    "disabled",
    "type",
    "tabindex",
    "src",
    "alt",
    "width",
    "height",
    "loading",
    "download",
    "href",
}


def check(models, headline, model, root):
    """What holds of every answer."""
    elements = list(root.all())
    assert {element.tag for element in elements} <= TAGS
    assert {name for element in elements for name in element.attributes} <= ATTRIBUTES
    explanation = models[model].classifier.explain(headline)
    assert root.one("p", "headline").text == headline
    section = root.one("section")
    assert asked_by(section.attributes["data-link"])[1]["headline"] == headline
    label = explanation.label
    assert section.attributes["data-title"] == f"{label}, {explanation.distribution[label]:.0%}: {headline}"
    for picture in root.all("img"):
        assert picture.attributes["alt"] == alternative_text(explanation)
        assert asked_by(picture.attributes["src"])[1]["headline"] == headline
    assert [word.text for word in root.all("button", "word")] == [
        text for text, places in explanation.pieces() if places
    ]


@pytest.mark.parametrize("model", ["default", "lesson"])
@pytest.mark.parametrize("headline", [*ANSWERED, HOSTILE, STOCKS], ids=lambda text: ascii(text)[:25])
def test_awkward_headlines_are_answered_and_shown_as_typed(models, shown, headline, model):
    check(models, headline, model, shown(headline, None, model))


PIECES = [*"ab <>&\"'`=/\\#;%$\n\t\x00é北🏀½", "</p>", "<b ", "&lt", "<!--", "market ", " oil "]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=30).map("".join))
@example("\r\n x \u2028 y \x1f")
def test_whatever_is_typed_stays_text(models, headline):
    if headline.strip():
        check(models, headline, "default", parsed(answer(models, Query(headline))))


def test_what_is_hostile_is_kept_in_texts_and_attributes(shown):
    root = shown('<script>"</script>" oil \'>" onclick="alert(1)')
    assert root.one("p", "headline").text == '<script>"</script>" oil \'>" onclick="alert(1)'
    assert not list(root.all("script"))
    assert not any("onclick" in element.attributes for element in root.all())


@pytest.mark.parametrize("model", ["default", "lesson"])
@pytest.mark.parametrize("headline", [STOCKS, "Zorblax quuxed", "?!"])
def test_the_bars_say_how_likely_each_class_is_the_most_likely_first(models, shown, headline, model):
    root = shown(headline, None, model)
    distribution = models[model].classifier.predict(headline).distribution
    rows = list(root.one("table", "bars").one("tbody").all("tr"))
    assert [row.one("th").text for row in rows] == list(distribution)
    assert [row.one("td", "share").text for row in rows] == [f"{share:.1%}" for share in distribution.values()]
    widths = [float(re.fullmatch(r"width:([\d.]+)%", row.one("span").attributes["style"])[1]) for row in rows]
    assert widths == pytest.approx([100 * share for share in distribution.values()], abs=1e-3)
    assert ["first" in row.classes for row in rows] == [True, False, False, False]
    values = numbers(root.one("div", "side").attributes["data-values"])
    assert values == pytest.approx(list(distribution.values()), abs=1e-6)


def test_the_answer_is_said_in_words_with_the_share_of_the_class(models, shown):
    said = shown(STOCKS).one("p", "said")
    assert said.attributes["role"] == "status"
    assert said.one("strong").text == "Business"
    prediction = models["default"].classifier.predict(STOCKS)
    assert said.text.startswith(f"Business, {prediction.probability:.0%}. ")
    assert models["default"].classifier.explain(STOCKS).in_words() in said.text


CHANGING = "Apple to buy soccer club after strike over chips"


@pytest.mark.parametrize("model", ["default", "lesson"])
@pytest.mark.parametrize("headline", [STOCKS, CHANGING, "Zorblax <b> shares rise, shares fall 北京!", "market"])
def test_a_word_left_out_shows_what_the_model_says_of_the_headline_without_it(models, shown, headline, model):
    classifier = models[model].classifier
    root = shown(headline, None, model)
    tokens = classifier.tokenizer.tokenize(headline)
    words = list(root.all("button", "word"))
    assert len(words) == len(tokens) > 0
    distribution = classifier.predict(headline).distribution
    names, label = list(distribution), next(iter(distribution))
    for place, (word, token) in enumerate(zip(words, tokens, strict=True)):
        shorter = headline[: token.start] + " " + headline[token.end :]
        left = [other.text for other in tokens[:place] + tokens[place + 1 :]]
        assert [other.text for other in classifier.tokenizer.tokenize(shorter)] == left  # the literal way is right
        expected = dict(zip(classifier.classes, classifier.predict_proba([shorter])[0].tolist(), strict=True))
        found = dict(zip(names, numbers(word.attributes["data-without"]), strict=True))
        assert found == pytest.approx(expected, abs=2e-6)
        said = f"Without “{word.text}”: {label} {found[label]:.1%} instead of {distribution[label]:.1%}"
        winner = max(found, key=found.get)
        said += "." if winner == label else f", and {winner} would be ahead with {found[winner]:.1%}."
        assert word.attributes["data-said"] == said
        assert word.attributes["aria-pressed"] == "false"


def test_a_word_without_which_another_class_is_ahead_says_so(shown):
    changed = [
        word.attributes["data-said"]
        for word in shown(CHANGING).all("button", "word")
        if "ahead" in word.attributes["data-said"]
    ]
    assert changed, "no word of the example decides it: choose another example"
    assert all(re.search(r", and [\w/]+ would be ahead with \d+\.\d%\.$", said) for said in changed)


def test_what_is_not_known_and_what_is_not_read_is_marked(shown):
    root = shown("Zorblax shares — rise, in 北京!")
    words = {word.text: word for word in root.all("button", "word")}
    assert list(words) == ["Zorblax", "shares", "rise", "in", "北京"]
    unknown = {text for text, word in words.items() if "unknown" in word.classes}
    assert unknown == {"Zorblax", "北京"}
    for text, word in words.items():
        assert ("; the model does not know this word" in word.attributes["title"]) == (text in unknown)
    pale = [part.text for part in root.one("p", "headline").all("span", "unread")]
    assert pale == [" — ", ", ", "!"]
    assert [name.text for name in root.one("p", "said").all("em")] == ["Zorblax", "北京"]
    assert "unread" in {kind for part in root.one("p", "legend").all() for kind in part.classes}


def test_many_unknown_words_are_counted_and_long_ones_cut(models):
    explain = models["default"].classifier.explain
    said = in_words(explain(" ".join(f"zqx{letter}v" for letter in "abcdefghij") + " zqxav"))
    assert "does not know 10 of these words, among them <em>zqxav</em>" in said
    assert said.count("<em>") == 8
    assert "little more than a guess" in said
    assert f"<em>{'q' * 29}…</em>" in in_words(explain("q" * 500 + " oil shares"))
    assert "does not know" not in in_words(explain("oil prices rise"))


def test_a_headline_without_a_word_says_so_and_can_be_left_out_of_nothing(shown):
    root = shown("?! …")
    assert "no word to read" in root.one("p", "said").text
    assert not list(root.all("button", "word"))
    assert root.one("p", "headline").one("span", "unread").text == "?! …"
    assert all("No picture" in picture.attributes["alt"] for picture in root.all("img"))


@pytest.mark.parametrize("target", [None, "Business", "Sci/Tech", "Sports", "World"])
def test_the_class_that_is_explained_sets_tints_words_and_pictures(models, shown, target):
    headline = "Zorblax shares rise at the Olympics"
    root = shown(headline, target)
    explanation = models["default"].classifier.explain(headline)
    name = target or explanation.label
    pushed = explanation.contributions[explanation.classes.index(name)]
    bias = explanation.bias[explanation.classes.index(name)]
    reach = max(1.0, *np.abs(pushed), abs(bias))
    for word, push in zip(root.all("button", "word"), pushed, strict=True):
        assert word.attributes["title"].split(";")[0] == f"{push:+.2f} for {name}"
        assert ("for" in word.classes, "against" in word.classes) == (push > 0, push <= 0)
        tint = int(re.fullmatch(r"--tint:(\d+)%", word.attributes["style"])[1])
        assert tint == pytest.approx(100 * abs(push) / reach, abs=0.51)
    assert root.one("p", "legend").text.startswith(f"for {name} ")
    assert explanation.in_words(name) in root.one("p", "said").text
    for link in [*root.all("img"), *root.all("a")]:
        assert asked_by(link.attributes.get("src") or link.attributes["href"])[1]["class"] == name
    assert root.one("strong").text == explanation.label  # what is predicted does not depend on it


def test_a_letter_that_gave_several_words_is_tinted_by_their_sum_and_cannot_be_left_out():
    """No bundled model has such a letter; one of characters has."""
    tokens = (Token("oil", 0, 3, 2, True), Token("one", 4, 5, 3, True), Token("half", 4, 5, 1, False))
    made = explanation_of("oil ½", tokens, [[1.0, 0.5, 1.0], [0.0, 0.0, 0.0]])
    root = parsed(answer(one_that_says(made), Query("oil ½")))
    first, second = root.all("button", "word")
    assert "disabled" not in first.attributes
    assert "disabled" in second.attributes
    assert "data-without" not in second.attributes
    assert second.attributes["title"] == "+1.50 for Business; the model does not know this word"


def test_a_word_of_signs_stays_text_wherever_it_is_shown():
    """No word of the bundled models has such signs; their cleaning may change."""
    sign = "<b title='\"&amp;'>"
    made = explanation_of(sign, (Token(sign, 0, len(sign), 1, False),), [[1.0], [0.0]])
    doubled = replace(made, by_filter=made.by_filter * 2)
    root = parsed(answer(one_that_says(made, kept=doubled), Query(sign, None, "default", "kept")))
    assert f"“{sign}” made most of the difference" in root.one("p", "between").text
    for side in root.all("div", "side"):
        word = side.one("button", "word")
        assert word.text == sign
        assert word.attributes["data-said"] == f"Without “{sign}”: Business 75.0% instead of 75.0%."
        assert side.one("em").text == sign
        assert f"“{sign}”" in side.one("p", "said").text
        assert all(sign[:12] in picture.attributes["alt"] for picture in side.all("img"))


def test_probabilities_without_a_word_stay_between_0_and_1():
    """The change is of another pass, so that rounding may take the sum a hair outside."""
    made = explanation_of("oil", (Token("oil", 0, 3, 2, True),), [[1.0], [0.0]])
    made = replace(made, left_out=np.array([[0.25 + 1e-7], [-0.25 - 1e-7]]))
    (word,) = parsed(answer(one_that_says(made), Query("oil"))).all("button", "word")
    assert numbers(word.attributes["data-without"]) == [1.0, 0.0]


@pytest.mark.parametrize("model", ["default", "lesson"])
@pytest.mark.parametrize(
    "headline", ["oil", STOCKS, "?!", "a " * 500, "Internationalization " * 5], ids=lambda t: t[:9]
)
def test_a_pictures_place_has_its_size_before_it_is_loaded(models, shown, headline, model):
    headline = headline.strip()
    picture = next(shown(headline, None, model).all("img"))
    drawn = Image.open(io.BytesIO(to_png(heatmap(models[model].classifier.explain(headline)))))
    wide, high = int(picture.attributes["width"]), int(picture.attributes["height"])
    assert wide / high == pytest.approx(drawn.width / drawn.height, rel=0.005)


def test_the_picture_and_what_can_be_taken_along_ask_the_same(models, shown):
    root = shown(STOCKS, "World", "lesson")
    asked = {"headline": STOCKS, "class": "World", "model": f"lesson-{models.hashes['lesson']}"}
    pictures = [(next(iter(p.classes)), asked_by(p.attributes["src"])) for p in root.all("img")]
    assert pictures == [(f"only-{style}", ("picture.png", asked | {"style": style})) for style in ("light", "dark")]
    links = {(a.text, asked_by(a.attributes["href"])[1].get("style")): a for a in root.all("a")}
    assert set(links) == {*((kind, style) for kind in ("PNG", "SVG") for style in ("light", "dark")), ("JSON", None)}
    for (kind, style), link in links.items():
        path = "explanation.json" if kind == "JSON" else f"picture.{kind.lower()}"
        assert asked_by(link.attributes["href"]) == (path, asked | ({"style": style} if style else {}))
        assert link.attributes["download"].endswith(f".{kind.lower()}")
        assert link.classes == ([f"only-{style}"] if style else [])


@pytest.mark.parametrize(
    "query", [Query(HOSTILE), Query("oil", "World", "lesson"), Query("oil", None, "default", HOSTILE)]
)
def test_the_link_of_the_answer_asks_the_same_again(models, query):
    section = parsed(answer(models, query, "link")).one("section")
    link = section.attributes["data-link"]
    assert link == query.link(models)
    again = Query.from_parameters(QueryParams(link.removeprefix("?")), models)
    assert again == replace(query, seen_hash=models.hashes[query.model])
    assert section.attributes["data-source"] == "link"


def test_a_link_of_another_model_has_a_notice_above_the_answer(models):
    root = parsed(answer(models, Query("oil", None, "default", None, "<script>")))
    notice = root.one("p", "notice").text
    assert "<script>" in notice
    assert models.hashes["default"] in notice
    assert not list(parsed(answer(models, Query("oil"))).all("p", "notice"))


def test_an_unknown_class_or_model_is_a_mistake(models):
    with pytest.raises(DataError, match="Got the class 'Weather'"):
        answer(models, Query("oil", "Weather"))
    with pytest.raises(DataError, match="Got the model 'bert'"):
        answer(models, Query("oil", None, "bert"))


@pytest.mark.parametrize("headline", ["a " * 500, "a," * 500, "北" * 1000, "x" * 1000, "& " * 500])
def test_a_headline_as_long_as_it_may_be_is_answered_soon(models, shown, headline):
    assert len(headline) == MAX_CHARACTERS
    start = time.process_time()
    root = shown(headline)
    assert time.process_time() - start < 5  # some 0.3 s
    assert root.one("p", "headline").text == headline


# --- two headlines --------------------------------------------------------------------------------------------------

OTHER = "Late goal sends Zorblax into the cup final"


@pytest.mark.parametrize("target", [None, "World"])
def test_two_headlines_stand_side_by_side_on_one_scale(models, shown, target):
    root = shown(STOCKS, target, "default", OTHER)
    assert "count-2" in root.one("section").classes
    sides = list(root.all("div", "side"))
    assert [side.one("p", "headline").text for side in sides] == [OTHER, STOCKS]  # the one that was kept first
    classifier = models["default"].classifier
    reach = max(
        1.0,
        *(
            abs(value)
            for headline in (OTHER, STOCKS)
            for made in [classifier.explain(headline)]
            for place in [made.class_index(target)]
            for value in [*made.contributions[place], made.bias[place]]
        ),
    )
    for side, headline in zip(sides, (OTHER, STOCKS), strict=True):
        explanation = classifier.explain(headline)
        rows = list(side.one("tbody").all("tr"))
        assert [row.one("th").text for row in rows] == classifier.classes  # so that bars face bars
        shares = [explanation.distribution[name] for name in classifier.classes]
        assert [row.one("td", "share").text for row in rows] == [f"{share:.1%}" for share in shares]
        assert [row.one("th").text for row in rows if "first" in row.classes] == [explanation.label]
        assert numbers(side.attributes["data-values"]) == pytest.approx(shares, abs=1e-6)
        for picture in side.all("img"):
            asked = asked_by(picture.attributes["src"])[1]
            assert asked["headline"] == headline
            assert asked["class"] == (target or explanation.label)
            assert float(asked["reach"]) == pytest.approx(reach, abs=1e-4)
        pushed = explanation.contributions[explanation.class_index(target)]
        for word, push, place in zip(side.all("button", "word"), pushed, range(len(pushed)), strict=True):
            tint = int(re.fullmatch(r"--tint:(\d+)%", word.attributes["style"])[1])
            assert tint == pytest.approx(100 * abs(push) / reach, abs=0.51)
            without = dict(zip(classifier.classes, numbers(word.attributes["data-without"]), strict=True))
            left_out = classifier.explain(headline, left_out=True).left_out[:, place]
            change = {name: without[name] - explanation.distribution[name] for name in classifier.classes}
            assert list(change.values()) == pytest.approx(left_out.tolist(), abs=1e-6)
    between = root.one("p", "between").text
    assert between == difference(classifier.explain(OTHER), classifier.explain(STOCKS))
    assert len(list(root.all("p", "reading"))) == 1
    assert root.one("section").attributes["data-title"].endswith(STOCKS)


def test_hostile_headlines_are_compared_as_text(models, shown):
    root = shown(HOSTILE, None, "default", HOSTILE + " <i>zqxv</i>")
    assert [side.one("p", "headline").text for side in root.all("div", "side")] == [HOSTILE + " <i>zqxv</i>", HOSTILE]
    assert {element.tag for element in root.all()} <= TAGS


def test_a_headline_compared_with_itself_is_shown_alone(models, shown):
    root = shown(STOCKS, None, "default", STOCKS)
    assert len(list(root.all("div", "side"))) == 1
    assert not list(root.all("p", "between"))
    assert "reach" not in asked_by(next(root.all("img")).attributes["src"])[1]
    assert len(list(root.all("p", "reading"))) == 1


def explanation_of(title, tokens, pushed, distribution=None):
    """An explanation by hand, of the classes Business and Sports and one filter."""
    pushed = np.array(pushed)
    distribution = distribution or {"Business": 0.75, "Sports": 0.25}
    return Explanation(
        title=title,
        tokens=tokens,
        label=next(iter(distribution)),
        distribution=distribution,
        classes=("Business", "Sports"),
        by_filter=pushed[:, None, :],
        bias=np.zeros(2),
        temperature=1.0,
        values=np.ones((1, len(tokens))),
        winners=np.zeros(1, dtype=int),
        active=np.ones(1, dtype=bool),
        filter_sizes=np.ones(1, dtype=int),
        picture_scale=1.0,
        left_out=np.zeros((2, len(tokens))),
    )


def one_that_says(explanation, **others):
    """Models whose default gives an explanation made by hand, and others for the headlines that are named."""
    fake = SimpleNamespace(
        explain=lambda headline, left_out=False: others.get(headline, explanation), classes=list(explanation.classes)
    )
    return Models(Served("default", fake, ROOT / "artifacts" / "default"))


def said_words(words, sports, distribution):
    """An explanation whose words push for Sports as given, and for Business not at all."""
    places = np.cumsum([0] + [len(word) + 1 for word in words])
    tokens = tuple(
        Token(word, int(start), int(start) + len(word), 2, True) for word, start in zip(words, places[:-1], strict=True)
    )
    return explanation_of(" ".join(words), tokens, [[0.0] * len(words), sports], distribution)


UNSURE = {"Business": 0.6, "Sports": 0.4}
SPORTS = {"Sports": 0.9, "Business": 0.1}


@pytest.mark.parametrize(
    ("kept", "now", "made"),
    [
        (
            (["oil", "rises"], [-0.5, 0.1], UNSURE),
            (["goal", "rises"], [2.0, 0.1], SPORTS),
            "“goal” made most of the difference: it pushed +2.0 now and was not there before.",
        ),
        (
            (["oil", "rises"], [-2.5, 0.1], UNSURE),
            (["goal", "rises"], [2.0, 0.1], SPORTS),
            "“oil” made most of the difference: it pushed -2.5 before and is not there now.",
        ),
        (
            (["cup", "late"], [0.5, 0.3], UNSURE),
            (["late", "cup"], [0.2, 1.5], SPORTS),
            "“cup” made most of the difference: it pushed +0.5 before and +1.5 now.",
        ),
        (  # twice the same word counts twice
            (["cup", "goal"], [1.0, 0.9], UNSURE),
            (["cup", "cup"], [1.0, 1.0], SPORTS),
            "“cup” made most of the difference: it pushed +1.0 before and +2.0 now.",
        ),
        ((["late", "cup"], [0.5, 1.0], UNSURE), (["cup", "late"], [1.0, 0.5], SPORTS), "Their words push alike."),
        (([], [], UNSURE), ([], [], SPORTS), "Their words push alike."),
        (
            ([], [], UNSURE),
            (["g" * 100], [1.0], SPORTS),
            f"“{'g' * 29}…” made most of the difference: it pushed +1.0 now and was not there before.",
        ),
    ],
)
def test_the_word_that_made_most_of_the_difference_is_named(kept, now, made):
    """Worked by hand; pushes are those for the class of the second answer, Sports."""
    assert difference(said_words(*kept), said_words(*now)) == f"Sports: 40% before, 90% now. {made}"


def test_headlines_that_differ_in_signs_only_are_said_to_push_alike(models):
    explain = models["default"].classifier.explain
    assert difference(explain("oil prices rise"), explain("“Oil prices” rise!")).endswith("Their words push alike.")
