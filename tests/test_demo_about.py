"""The tab "Model": its card, its figures, and what each filter looks for."""

import re
from html.parser import HTMLParser

import pytest

from demo.about import content, rows
from demo.models import Models, Served, bundled
from textcnn.filters import FilterSummary, Ngram

CARD = """---
license: mit
tags:
- news
---
# The model

Text - with --- dashes.

## Results

| class | F1 |
|---|---|

### Detail #1
#no heading
"""


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


@pytest.fixture
def own(models, tmp_path):
    """The model lesson with a folder that a test fills."""
    (tmp_path / "README.md").write_text(CARD, encoding="utf-8")
    (tmp_path / "config.json").write_text("{}")
    return Served("own", models["lesson"].classifier, tmp_path)


def pictures(markup):
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag == "img":
                found.append(dict(attributes))

    Parser().feed(markup)
    return found


def test_the_card_comes_without_what_the_hub_reads_and_its_headings_go_one_deeper(own):
    card, _, _ = content(own)
    assert card.startswith("## The model\n")
    assert [line for line in card.splitlines() if line.startswith("#")] == [
        "## The model",
        "### Results",
        "#### Detail #1",
        "#no heading",
    ]
    assert "license" not in card
    assert "Text - with --- dashes." in card
    assert "|---|---|" in card


def test_a_card_without_what_the_hub_reads_is_shown_whole(own):
    (own.folder / "README.md").write_text("# One\n\nText\n\n---\n\nafter a rule\n\n---\n\nend\n")
    assert content(own)[0] == "## One\n\nText\n\n---\n\nafter a rule\n\n---\n\nend\n"


def test_only_the_figures_that_are_there_are_shown(own):
    assert pictures(content(own)[1]) == []
    (own.folder / "figures").mkdir()
    assert pictures(content(own)[1]) == []
    (own.folder / "figures" / "reliability.png").write_bytes(b"")
    (own.folder / "figures" / "other.png").write_bytes(b"")
    (shown,) = pictures(content(own)[1])
    assert shown["src"] == "figures/own/reliability.png"
    assert shown["alt"]


def test_the_bundled_models_have_their_card_all_figures_and_a_row_for_each_filter(models):
    for model in models:
        card, figures, table = content(model)
        assert card.startswith("## ")
        assert not re.search(r"^# ", card, re.MULTILINE)
        assert {picture["src"] for picture in pictures(figures)} == {
            f"figures/{model.name}/{path.name}" for path in (model.folder / "figures").glob("*.png")
        }
        sizes = [
            size
            for size in model.classifier.config.model.filter_sizes
            for _ in range(model.classifier.config.model.num_filters)
        ]
        assert [row[0] for row in table] == list(range(len(sizes)))  # the numbers of the map's rows
        assert [row[1] for row in table] == sizes
        assert all(len(row) == 5 for row in table)


def test_a_row_says_what_a_filter_looks_for_where_it_pushes_and_how_often_it_fires():
    ngrams = (Ngram("| oil prices", 12, 3.0), Ngram("crude oil", 10, 2.5))
    pushes = {"Business": 1.234, "World": 0.005, "Sports": 0.0049, "Sci/Tech": -0.7}
    assert rows([FilterSummary(3, 0.126, pushes, ngrams), FilterSummary(1, 0.0, {}, ())]) == [
        [0, 3, "| oil prices, crude oil", "Business +1.23, World +0.01", "13%"],
        [1, 1, "", "", "0%"],
    ]
