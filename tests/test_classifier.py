"""The public face: predictions, their invariances, and what the bundled models have learned."""

import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import ArtifactError, Config, ConfigError, DataError, HeadlineClassifier, Prediction, TextCNNError
from textcnn.sources import Headlines

CLASSES = ["Business", "Sci/Tech", "Sports", "World"]


@pytest.fixture(params=["small_default", "small_lesson"])
def small(request: pytest.FixtureRequest) -> HeadlineClassifier:
    """Each of the models trained in seconds."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def default() -> HeadlineClassifier:
    """The bundled model that a user gets."""
    return HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "default")


# What comes back


def test_a_string_gives_one_prediction(small_default: HeadlineClassifier) -> None:
    prediction = small_default.predict(STOCKS)
    assert isinstance(prediction, Prediction)
    assert prediction.title == STOCKS


def test_a_list_gives_a_list_in_its_order(small_default: HeadlineClassifier) -> None:
    titles = [STOCKS, "", "Goal", STOCKS]
    predictions = small_default.predict(titles)
    assert isinstance(predictions, list)
    assert [prediction.title for prediction in predictions] == titles
    assert predictions[0] == predictions[3]
    assert predictions[0].tokens == small_default.predict(STOCKS).tokens


def test_no_headlines_give_no_answers(small_default: HeadlineClassifier) -> None:
    assert small_default.predict([]) == []
    assert small_default.predict_proba([]).shape == (0, 4)


@pytest.mark.parametrize(
    "titles",
    [(STOCKS, "Goal"), pd.Series([STOCKS, "Goal"]), np.array([STOCKS, "Goal"]), (title for title in [STOCKS, "Goal"])],
    ids=["tuple", "Series", "array", "generator"],
)
def test_any_sequence_of_strings_will_do(small_default: HeadlineClassifier, titles: Any) -> None:
    assert [prediction.title for prediction in small_default.predict(titles)] == [STOCKS, "Goal"]


def test_the_list_given_is_not_changed(small_default: HeadlineClassifier) -> None:
    titles = [" Oil ", "GOAL"]
    small_default.predict(titles)
    assert titles == [" Oil ", "GOAL"]


def test_probabilities_are_an_array_with_the_classes_as_columns(small: HeadlineClassifier, sample: Headlines) -> None:
    probabilities = small.predict_proba(sample.titles)
    assert small.classes == CLASSES
    assert probabilities.shape == (len(sample), 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    right = probabilities.argmax(1) == small.label_encoder.encode(sample.labels)
    assert right.mean() > 0.9  # these are the titles that it learned from: the columns are in order


def test_a_prediction_ranks_all_classes(small: HeadlineClassifier) -> None:
    prediction = small.predict(STOCKS)
    shares = list(prediction.distribution.values())
    assert sorted(prediction.distribution) == CLASSES
    assert shares == sorted(shares, reverse=True)
    assert prediction.label == next(iter(prediction.distribution))
    assert prediction.probability == shares[0]


def test_predict_and_predict_proba_and_explain_agree(small: HeadlineClassifier) -> None:
    for title, row in zip(AWKWARD, small.predict_proba(AWKWARD), strict=True):
        distribution = small.predict(title).distribution
        np.testing.assert_allclose([distribution[name] for name in small.classes], row, atol=1e-6)
        explained = small.explain(title).distribution
        np.testing.assert_allclose([explained[name] for name in small.classes], row, atol=1e-6)


def test_logits_over_the_temperature_are_the_probabilities(small_default: HeadlineClassifier) -> None:
    parts = (small_default.config, small_default.tokenizer, small_default.label_encoder, small_default.model)
    model = HeadlineClassifier(*parts, temperature=2.5)
    scaled = np.exp(model.logits([STOCKS, "Goal"]) / 2.5)
    np.testing.assert_allclose(model.predict_proba([STOCKS, "Goal"]), scaled / scaled.sum(1, keepdims=True), atol=1e-6)
    assert model.predict(STOCKS).probability < small_default.predict(STOCKS).probability


def test_a_prediction_is_ready_for_json(small_default: HeadlineClassifier) -> None:
    prediction = small_default.predict("Oil zxqv 北京")
    content = json.loads(json.dumps(prediction.to_dict()))
    assert content["title"] == "Oil zxqv 北京"
    assert content["label"] == prediction.label
    assert content["distribution"] == prediction.distribution
    assert content["tokens"][1] == {"text": "zxqv", "start": 4, "end": 8, "index": 1, "known": False}


def test_a_prediction_cannot_be_changed(small_default: HeadlineClassifier) -> None:
    prediction = small_default.predict(STOCKS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.label = "World"  # type: ignore[misc]


def test_unknown_words_are_told(small_default: HeadlineClassifier) -> None:
    prediction = small_default.predict("zxqv oil qqqq the")
    assert [token.text for token in prediction.unknown] == ["zxqv", "qqqq"]
    assert prediction.unknown_share == 0.5


def test_a_headline_of_known_words_has_no_unknown_share(small_default: HeadlineClassifier, sample: Headlines) -> None:
    prediction = small_default.predict(sample.titles[0])
    assert prediction.unknown == ()
    assert prediction.unknown_share == 0


@pytest.mark.parametrize("title", ["", "  ", "?!", "zxqv qqqq"])
def test_without_a_known_word_everything_is_unknown(small: HeadlineClassifier, title: str) -> None:
    assert small.predict(title).unknown_share == 1


def test_headlines_without_a_word_all_get_the_same_answer(small: HeadlineClassifier) -> None:
    rows = small.predict_proba(["", "   ", "?!", "🎉"])
    np.testing.assert_array_equal(rows, rows[:1].repeat(4, axis=0))


# What is refused


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("wrong", [None, math.nan, 3, b"Oil", {"title": "Oil"}, ["Oil"]], ids=repr)
def test_an_entry_that_is_no_string_is_named_with_its_place(
    small_default: HeadlineClassifier, wrong: Any, place: int
) -> None:
    titles: list[Any] = ["Oil", "Goal"]
    titles.insert(place, wrong)
    for use in (small_default.predict, small_default.predict_proba, small_default.logits):
        with pytest.raises(DataError, match=rf"Headline {place} is .*\({type(wrong).__name__}\): a string is expected"):
            use(titles)


@pytest.mark.parametrize("wrong", [None, math.nan, 3, b"Oil", {"title": "Oil"}], ids=repr)
def test_what_holds_no_headlines_is_named(small_default: HeadlineClassifier, wrong: Any) -> None:
    """The keys of a dictionary and the numbers of bytes are no headlines."""
    for use in (small_default.predict, small_default.predict_proba):
        with pytest.raises(DataError, match=f"Got {type(wrong).__name__}: give"):
            use(wrong)


def test_predict_proba_asks_for_a_list(small_default: HeadlineClassifier) -> None:
    """A string would be taken for a list of letters."""
    with pytest.raises(DataError, match="Got str: give a list of headlines"):
        small_default.predict_proba(STOCKS)


@pytest.mark.parametrize("wrong", [None, b"Oil", ["Oil"], 3], ids=repr)
def test_explain_asks_for_a_string(small_default: HeadlineClassifier, wrong: Any) -> None:
    with pytest.raises(DataError, match=r"a string is expected"):
        small_default.explain(wrong)


def test_one_base_catches_every_error() -> None:
    assert all(issubclass(error, TextCNNError) for error in (DataError, ConfigError, ArtifactError))
    assert issubclass(DataError, ValueError)


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"There is no artifact folder .*train one with train\.py"):
        HeadlineClassifier.from_pretrained(tmp_path / "none")


# A prediction depends on its headline alone


@pytest.mark.parametrize("title", AWKWARD, ids=lambda title: ascii(title[:12]))
def test_awkward_headlines_are_answered(small: HeadlineClassifier, title: str) -> None:
    distribution = small.predict(title).distribution
    assert all(0 <= share <= 1 for share in distribution.values())
    assert sum(distribution.values()) == pytest.approx(1, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(title=st.text(max_size=80))
def test_any_text_is_answered(small_default: HeadlineClassifier, title: str) -> None:
    assert np.isfinite(small_default.predict_proba([title])).all()


def test_a_headline_gets_the_same_alone_and_in_a_batch(small: HeadlineClassifier, sample: Headlines) -> None:
    """In the lesson's code, padding up to a longer neighbour takes part in the max."""
    titles = [*AWKWARD, *sample.titles][:64]
    together = small.predict_proba(titles)
    alone = np.concatenate([small.predict_proba([title]) for title in titles])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_its_neighbours_do_not_change_a_headline(
    small_lesson: HeadlineClassifier, sample: Headlines, data: st.DataObject
) -> None:
    title = data.draw(st.sampled_from(sample.titles))
    before, after = (data.draw(st.lists(st.sampled_from([*sample.titles, *AWKWARD]), max_size=8)) for _ in range(2))
    row = small_lesson.predict_proba([*before, title, *after])[len(before)]
    np.testing.assert_allclose(row, small_lesson.predict_proba([title])[0], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_case_and_spacing_change_nothing(
    small_default: HeadlineClassifier, small_lesson: HeadlineClassifier, sample: Headlines, data: st.DataObject
) -> None:
    title = data.draw(st.sampled_from(sample.titles))
    gap = data.draw(st.sampled_from(["  ", "\t", " \n"]))
    changed = [title.upper(), title.lower(), title.replace(" ", gap), gap + title + gap]
    for model in (small_default, small_lesson):
        expected = model.predict_proba([title]).repeat(4, axis=0)
        np.testing.assert_allclose(model.predict_proba(changed), expected, atol=1e-6)


def test_every_token_points_into_the_headline(small: HeadlineClassifier, sample: Headlines) -> None:
    for title in [*sample.titles, *AWKWARD]:
        end = 0
        for token in small.predict(title).tokens:
            assert end <= token.start < token.end <= len(title)
            end = token.end


def test_eight_threads_get_the_answers_of_one(small: HeadlineClassifier, sample: Headlines) -> None:
    titles = [*sample.titles[:200], *AWKWARD[:14]]
    expected = [small.predict(title) for title in titles]
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: [small.predict(title) for title in titles], range(8)):
            assert answers == expected


def test_predicting_leaves_the_model_as_it_was(small: HeadlineClassifier) -> None:
    before = {name: tensor.clone() for name, tensor in small.model.state_dict().items()}
    small.predict(AWKWARD)
    small.explain(STOCKS, left_out=True)
    assert all((tensor == before[name]).all() for name, tensor in small.model.state_dict().items())
    assert not small.model.training


# What the bundled models have learned

PLAIN = {
    "Business": [
        "Stocks fall as oil prices hit record high",
        "Google shares rise after IPO",
        "Fed raises interest rates by a quarter point",
        "Retailer posts higher quarterly profit",
    ],
    "Sci/Tech": [
        "Microsoft releases security patch for Windows",
        "NASA spacecraft sends back first images of Saturn",
        "New virus targets Internet Explorer users",
        "IBM unveils fastest supercomputer",
    ],
    "Sports": [
        "Red Sox beat Yankees in extra innings",
        "Chelsea win again as striker scores late goal",
        "Quarterback throws four touchdowns in season opener",
        "Phelps wins sixth gold medal at Olympics",
    ],
    "World": [
        "Car bomb kills ten in Baghdad",
        "Israeli troops raid Gaza refugee camp",
        "Prime minister resigns after election defeat",
        "U.N. urges Sudan to end Darfur violence",
    ],
}


def test_the_lessons_headline_is_business(bundled: HeadlineClassifier) -> None:
    """`What a day for the new york stock market to go bust!`, the lesson's own example, under both presets."""
    assert bundled.predict(STOCKS).label == "Business"


@pytest.mark.parametrize(("label", "title"), [(label, title) for label, titles in PLAIN.items() for title in titles])
def test_plain_headlines_get_their_class(default: HeadlineClassifier, label: str, title: str) -> None:
    assert default.predict(title).label == label


@pytest.mark.parametrize(
    ("title", "with_shares"),
    [
        ("Apple falls", "Apple shares fall"),
        ("Toyota up in Tokyo", "Toyota shares up in Tokyo"),
        ("Google", "Google shares"),
    ],
)
def test_shares_raise_the_probability_of_business(bundled: HeadlineClassifier, title: str, with_shares: str) -> None:
    before, after = bundled.predict_proba([title, with_shares])[:, CLASSES.index("Business")]
    assert after > before


def test_left_out_is_what_the_shorter_headline_gets(bundled: HeadlineClassifier) -> None:
    """Both ways of asking for the worth of `shares`, one by the tokens and one by the typed words."""
    explanation = bundled.explain("Apple shares fall", left_out=True)
    rest = bundled.predict_proba(["shares fall", "Apple fall", "Apple shares"])
    whole = bundled.predict_proba(["Apple shares fall"])
    assert explanation.left_out is not None
    np.testing.assert_allclose(explanation.left_out.T, rest - whole, atol=1e-6)
    assert explanation.left_out[CLASSES.index("Business"), 1] < 0


def test_bundled_models_say_what_speaks_for_a_class(default: HeadlineClassifier) -> None:
    explanation = default.explain("Phelps wins sixth gold medal at Olympics")
    assert "Olympics" in explanation.in_words() or "medal" in explanation.in_words()
    assert explanation.in_words().endswith("% of what speaks for Sports.")
    assert len(explanation.filter_names) == len(explanation.active)


@pytest.mark.parametrize("label", CLASSES)
def test_another_city_keeps_the_class(default: HeadlineClassifier, label: str) -> None:
    titles = {
        "Business": "Bank in {} posts record quarterly profit",
        "Sci/Tech": "Software maker in {} fixes browser security flaw",
        "Sports": "{} wins cup final after late goal",
        "World": "Suicide bomb kills twelve in {}",
    }
    cities = ["London", "Paris", "Moscow", "Madrid", "Chicago"]
    predictions = default.predict([titles[label].format(city) for city in cities])
    assert [prediction.label for prediction in predictions] == [label] * len(cities)


def test_bundled_models_ignore_case_and_spacing(bundled: HeadlineClassifier) -> None:
    titles = [title for titles in PLAIN.values() for title in titles]
    expected = bundled.predict_proba(titles)
    for changed in ([title.upper() for title in titles], [f"  {title}".replace(" ", "  ") for title in titles]):
        np.testing.assert_allclose(bundled.predict_proba(changed), expected, atol=1e-6)


def test_bundled_models_answer_awkward_headlines(bundled: HeadlineClassifier) -> None:
    np.testing.assert_allclose(bundled.predict_proba(AWKWARD).sum(1), 1, atol=1e-6)


def test_bundled_models_are_their_presets(bundled: HeadlineClassifier) -> None:
    assert bundled.config.preset in ("default", "lesson")
    assert bundled.config.text.cleaning == bundled.config.preset
    assert bundled.classes == CLASSES
    assert isinstance(bundled.config, Config)
    assert bundled.performance is not None
    assert bundled.performance["overall"]["f1"] > {"default": 0.83, "lesson": 0.65}[bundled.config.preset]


def test_the_bundled_vocabulary_has_no_debris(default: HeadlineClassifier) -> None:
    """`39` from `#39;s` would be a word of thousands of titles; as a number it may stand in a few."""
    ranks = default.tokenizer.token_to_index
    assert not ranks.keys() & {"lt", "gt", "quot"}
    assert ranks.get("39", 10**9) > 2000
