"""What each filter looks for: counted window by window, headline by headline, it comes out the same."""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import PRESETS, ArtifactError, HeadlineClassifier, filters
from textcnn.errors import ConfigError
from textcnn.filters import EDGE, FilterSummary, Ngram, load_summaries, save_summaries, summarize_filters
from textcnn.model import TextCNN
from textcnn.sources import Headlines
from textcnn.text import PAD, UNK, Tokenizer
from textcnn.training import fit

CLASSES = ["Business", "Sci/Tech", "Sports", "World"]
# Beside the sample's headlines: repeated words, unknown ones, none, more words than a window has and fewer.
ODD = ["oil oil oil oil", "zxqv", "zxqv oil qqqq", "oil", "oil prices", "", "?!", "a|b | c", *["oil prices rise"] * 12]

Summaries = tuple[FilterSummary, ...]
# A window as written, and the filter: how often it stands there, and what the network's own trace gave for it.
Table = dict[str, tuple[int, np.ndarray]]


def written(tokenizer: Tokenizer, indices: Sequence[int]) -> str:
    """Write a window, 0 where it reaches over the headline's edge."""
    names = list(tokenizer.token_to_index)
    shown = [EDGE if i == 0 else "(unknown)" if names[i] == UNK else names[i] for i in indices]
    return ("" if tokenizer.char_level else " ").join(shown)


def literal(model: TextCNN, tokenizer: Tokenizer, titles: Sequence[str]) -> tuple[list[Table], np.ndarray, np.ndarray]:
    """One headline at a time, one window at a time: the windows of each filter size, and each filter's outputs.

    Returns:
        A table for each filter size; whether each filter fired and what it gave, (headlines, filters) each.
    """
    tables: list[dict[str, Any]] = [{} for _ in model.config.filter_sizes]
    counts: list[Counter[str]] = [Counter() for _ in model.config.filter_sizes]
    fired, outputs = [], []
    for title in titles:
        ids = [token.index for token in tokenizer.tokenize(title)]
        trace = model.trace(torch.tensor([ids or [0]]), torch.tensor([len(ids)]))
        fired.append(trace.active[0].numpy())
        outputs.append(trace.pooled[0].detach().numpy())
        values = trace.values[0].detach().numpy()
        for conv, size in enumerate(model.config.filter_sizes):
            mine = values[conv * model.config.num_filters :][: model.config.num_filters]
            for t in range(len(ids)):
                first = t - math.floor((size - 1) / 2)
                window = [ids[p] if 0 <= p < len(ids) else 0 for p in range(first, first + size)]
                text = written(tokenizer, window)
                counts[conv][text] += 1
                if text in tables[conv]:
                    np.testing.assert_allclose(tables[conv][text], mine[:, t], atol=1e-5)
                tables[conv][text] = mine[:, t]
    full = [
        {text: (counted[text], values) for text, values in table.items()}
        for table, counted in zip(tables, counts, strict=True)
    ]
    shape = (len(titles), model.config.num_filters * len(model.config.filter_sizes))
    return full, np.array(fired, dtype=bool).reshape(shape), np.array(outputs).reshape(shape)


def check(
    summaries: Summaries, model: TextCNN, tokenizer: Tokenizer, titles: Sequence[str], classes: list[str] | None = None
) -> None:
    """Hold summaries to the literal count: number, sizes, n-grams and their order, shares and pushes."""
    classes = classes or CLASSES
    tables, fired, outputs = literal(model, tokenizer, titles)
    num = model.config.num_filters
    assert [summary.size for summary in summaries] == [size for size in model.config.filter_sizes for _ in range(num)]
    weight = model.output.weight.detach().double()
    if model.hidden is not None:
        weight = weight @ model.hidden.weight.detach().double()
    for f, summary in enumerate(summaries):
        table, column = tables[f // num], f % num
        # Frequent before rare, then by value; equals in any order.
        ranked = sorted(
            ((min(count, 10), float(values[column])) for count, values in table.values() if values[column] > 1e-6),
            reverse=True,
        )[:8]
        assert [min(ngram.count, 10) for ngram in summary.ngrams] == [often for often, _ in ranked]
        np.testing.assert_allclose(
            [ngram.value for ngram in summary.ngrams], [value for _, value in ranked], atol=2e-4, rtol=1e-5
        )
        assert len({ngram.text for ngram in summary.ngrams}) == len(ranked)
        for ngram in summary.ngrams:
            count, values = table[ngram.text]
            assert ngram.count == count
            assert ngram.value == pytest.approx(values[column], abs=2e-4, rel=1e-5)
        assert summary.fires == pytest.approx(fired[:, f].mean() if len(titles) else 0, abs=1e-4)
        where = outputs[fired[:, f], f]
        mean = where.mean() if len(where) else 0.0
        for name, w in zip(classes, weight[:, f].tolist(), strict=True):
            assert summary.pushes[name] == pytest.approx(w * mean, abs=2e-4, rel=1e-4)
        assert list(summary.pushes) == sorted(summary.pushes, key=lambda name: -summary.pushes[name])
        assert sorted(summary.pushes) == sorted(classes)


@pytest.fixture(scope="module", params=["small_default", "small_lesson"])
def small(request: pytest.FixtureRequest) -> HeadlineClassifier:
    """Each of the models trained in seconds."""
    model: HeadlineClassifier = request.getfixturevalue(request.param)
    return model


@pytest.fixture(scope="module")
def titles(sample: Headlines) -> list[str]:
    return [*sample.titles, *ODD]


@pytest.fixture(scope="module")
def summaries(small: HeadlineClassifier, titles: list[str]) -> Summaries:
    return summarize_filters(small.model, small.tokenizer, small.classes, titles)


# The literal count


def test_summaries_are_those_of_a_count_window_by_window(
    small: HeadlineClassifier, summaries: Summaries, titles: list[str]
) -> None:
    check(summaries, small.model, small.tokenizer, titles)


KINDS: dict[str, dict[str, Any]] = {
    "characters": {"char_level": True, "filter_sizes": (2, 3), "num_tokens": 30},
    "characters of the lesson": {"char_level": True, "filter_sizes": (3,), "cleaning": "lesson"},
    "batch norm": {"batch_norm": True, "filter_sizes": (3, 1)},
    "batch norm without relu": {"batch_norm": True, "activation": "none", "hidden_dim": 5},
    "one-hot": {"embedding_dim": None, "embedding_dropout": 0, "filter_sizes": (4, 2)},
    "rare words unknown": {"min_count": 4},
}


@pytest.mark.parametrize("overrides", KINDS.values(), ids=KINDS)
def test_every_kind_of_model_is_summarized(sample: Headlines, titles: list[str], overrides: dict[str, Any]) -> None:
    config = PRESETS["default"].replace(
        **{"embedding_dim": 8, "num_filters": 4, "epochs": 1, "vectors": None, **overrides}
    )
    fitted = fit(sample.titles, sample.labels, config)
    found = summarize_filters(fitted.model.eval(), fitted.tokenizer, fitted.label_encoder.classes, titles)
    check(found, fitted.model, fitted.tokenizer, titles)
    assert any(summary.ngrams for summary in found)


WORDS = Tokenizer({name: i for i, name in enumerate([PAD, UNK, *(f"w{i}" for i in range(reference.VOCABULARY - 2))])})
few_words = st.lists(st.integers(1, 6), max_size=7)


@settings(deadline=None, max_examples=40)
@given(reference.configs, st.lists(few_words, max_size=30), reference.seeds)
def test_any_network_and_any_headlines_are_summarized(config: Any, sequences: list[list[int]], seed: int) -> None:
    """Few words, so that n-grams come again; word 1 is the unknown one."""
    model = reference.network(config, seed)
    given_titles = [" ".join(f"w{i - 2}" if i > 1 else "zz" for i in sequence) for sequence in sequences]
    check(summarize_filters(model, WORDS, CLASSES, given_titles), model, WORDS, given_titles)


# The n-grams


def test_ngrams_stand_in_the_headlines(small: HeadlineClassifier, summaries: Summaries, titles: list[str]) -> None:
    """`|` stands where a headline starts or ends, and nowhere else."""
    known = small.tokenizer.token_to_index
    edged = []
    for title in titles:
        words = [word if word in known else "(unknown)" for word in small.tokenizer.tokens(title)]
        edged.append(f" {' '.join([EDGE, *words, EDGE])} ")
    shown = {ngram.text for summary in summaries for ngram in summary.ngrams}
    assert len(shown) > 50
    for text in shown:
        assert any(f" {text} " in title for title in edged), text
    if 3 in {summary.size for summary in summaries}:
        assert any(text.startswith(f"{EDGE} ") for text in shown)
        assert any(text.endswith(f" {EDGE}") for text in shown)


def test_ngrams_have_the_words_of_the_filters_window(summaries: Summaries) -> None:
    for summary in summaries:
        assert {len(ngram.text.split()) for ngram in summary.ngrams} <= {summary.size}
        assert len(summary.ngrams) <= 8


def test_only_ngrams_that_fire_the_filter_are_shown(summaries: Summaries) -> None:
    assert all(ngram.value > 0 for summary in summaries for ngram in summary.ngrams)


def test_frequent_ngrams_go_before_rare_ones_and_then_by_value(summaries: Summaries) -> None:
    for summary in summaries:
        keys = [(-min(ngram.count, 10), -ngram.value) for ngram in summary.ngrams]
        assert keys == sorted(keys)


def one_filter(weights: dict[int, Sequence[float]], size: int) -> TextCNN:
    """A network of one filter, with these weights of a word at each offset and 0 for all others."""
    model = reference.network(
        reference.ModelConfig(embedding_dim=None, filter_sizes=(size,), num_filters=1, activation="relu")
    )
    with torch.no_grad():
        model.convs[0].weight.zero_()
        for index, offsets in weights.items():
            model.convs[0].weight[index, :, 0] = torch.tensor(offsets)
        model.convs[0].bias.zero_()
        model.output.weight.copy_(torch.tensor([[1.0], [-1.0], [2.0], [0.0]]))
    return model


def test_a_window_of_two_words_reaches_over_the_end_alone() -> None:
    """w0 is worth 1 in the first place, 10 in the second; after the last word stands the edge."""
    found = summarize_filters(one_filter({2: [1.0, 10.0]}, 2), WORDS, CLASSES, ["w0 w1 w0", "w0"])
    (summary,) = found
    ngrams = [("w0 |", 2, 1.0), ("w1 w0", 1, 10.0), ("w0 w1", 1, 1.0)]
    assert [dataclasses.astuple(ngram) for ngram in summary.ngrams] == ngrams
    assert summary.fires == 1
    # The outputs are 10 and 1: 5.5 on average.
    assert list(summary.pushes.items()) == [("Sports", 11.0), ("Business", 5.5), ("World", 0.0), ("Sci/Tech", -5.5)]


def test_an_ngram_seen_ten_times_counts_as_one_seen_a_hundred_times() -> None:
    given_titles = ["w0"] * 9 + ["w1"] * 10 + ["w2"] * 100
    found = summarize_filters(one_filter({2: [9.0], 3: [3.0], 4: [1.0]}, 1), WORDS, CLASSES, given_titles)
    assert [(ngram.text, ngram.count) for ngram in found[0].ngrams] == [("w1", 10), ("w2", 100), ("w0", 9)]
    assert found[0].name == "w1, w2, w0"


def test_the_name_is_the_first_three_ngrams(summaries: Summaries) -> None:
    for summary in summaries:
        assert summary.name == ", ".join(ngram.text for ngram in summary.ngrams[:3])


def test_unknown_words_are_named_so(small: HeadlineClassifier) -> None:
    found = summarize_filters(small.model, small.tokenizer, small.classes, ["zxqv qqqq wwxx oil"] * 3)
    words = {word for summary in found for ngram in summary.ngrams for word in ngram.text.split(" ")}
    assert words == {"(unknown)", "oil", *([EDGE] if small.config.preset == "default" else [])}


def test_the_name_of_the_padding_is_never_shown(summaries: Summaries) -> None:
    text = json.dumps([summary.to_dict() for summary in summaries])
    assert PAD not in text
    assert UNK not in text


# Which headlines


@pytest.mark.parametrize("given_titles", [["", "?!", "  "], [""], []], ids=["several", "one", "none"])
def test_headlines_without_words_give_filters_without_ngrams(
    small: HeadlineClassifier, given_titles: list[str], tmp_path: Path
) -> None:
    found = summarize_filters(small.model, small.tokenizer, small.classes, given_titles)
    assert len(found) == small.model.config.num_filters * len(small.model.config.filter_sizes)
    assert {(summary.fires, summary.name, summary.ngrams) for summary in found} == {(0.0, "", ())}
    assert {push for summary in found for push in summary.pushes.values()} == {0.0}
    save_summaries(tmp_path / "filters.json", found)
    assert load_summaries(tmp_path / "filters.json") == found


def test_one_headline_is_summarized_as_it_is_explained(small: HeadlineClassifier) -> None:
    """What its filters add to a class on average is what they add there, and makes the logit."""
    found, explanation = summarize_filters(small.model, small.tokenizer, small.classes, [STOCKS]), small.explain(STOCKS)
    check(found, small.model, small.tokenizer, [STOCKS])
    np.testing.assert_array_equal([summary.fires for summary in found], explanation.active)
    whole = [sum(summary.pushes[name] for summary in found) for name in small.classes]
    bias = small.model.output_map()[1].detach().numpy()
    np.testing.assert_allclose(whole + bias, small.logits([STOCKS])[0], atol=0.01)
    for f in np.flatnonzero(explanation.active & (explanation.values.max(1) > 1e-4)):
        highest = max(ngram.value for ngram in found[f].ngrams)  # not the first: an unknown word stands there twice
        assert highest == pytest.approx(explanation.values[f].max(), abs=2e-4)


def test_awkward_headlines_are_summarized(small: HeadlineClassifier) -> None:
    given_titles = [title for title in AWKWARD if len(title) < 5000]
    check(
        summarize_filters(small.model, small.tokenizer, small.classes, given_titles),
        small.model,
        small.tokenizer,
        given_titles,
    )


def test_headlines_are_drawn_evenly_where_there_are_many(
    small_default: HeadlineClassifier, sample: Headlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 320 headlines for 100, every fourth; the n-grams are still those of all."""
    everything = summarize_filters(small_default.model, small_default.tokenizer, CLASSES, sample.titles)
    monkeypatch.setattr(filters, "_HEADLINES", 100)
    found = summarize_filters(small_default.model, small_default.tokenizer, CLASSES, sample.titles)
    third = summarize_filters(small_default.model, small_default.tokenizer, CLASSES, sample.titles[::4])
    assert [summary.ngrams for summary in found] == [summary.ngrams for summary in everything]
    np.testing.assert_allclose([s.fires for s in found], [s.fires for s in third], atol=1e-4)
    for one, other in zip(found, third, strict=True):
        assert one.pushes == pytest.approx(other.pushes, abs=2e-4)


def test_the_most_frequent_ngrams_are_tried_where_there_are_many(
    small_default: HeadlineClassifier, sample: Headlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "_CANDIDATES", 12)
    found = summarize_filters(small_default.model, small_default.tokenizer, CLASSES, sample.titles)
    tables = literal(small_default.model, small_default.tokenizer, sample.titles)[0]
    for table, size in zip(tables, (1, 2, 3), strict=True):
        shown = {ngram.count for summary in found if summary.size == size for ngram in summary.ngrams}
        assert min(shown) >= sorted((count for count, _ in table.values()), reverse=True)[11]


def test_the_order_of_the_headlines_changes_nothing(small: HeadlineClassifier, titles: list[str]) -> None:
    one = summarize_filters(small.model, small.tokenizer, small.classes, titles)
    other = summarize_filters(small.model, small.tokenizer, small.classes, titles[::-1])
    assert [summary.ngrams for summary in one] == [summary.ngrams for summary in other]
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.fires, mine.pushes) == (theirs.fires, pytest.approx(theirs.pushes, abs=2e-4))


def test_summarizing_leaves_the_model_as_it_was(small: HeadlineClassifier, titles: list[str]) -> None:
    before = {name: tensor.clone() for name, tensor in small.model.state_dict().items()}
    summarize_filters(small.model, small.tokenizer, small.classes, titles)
    assert all((tensor == before[name]).all() for name, tensor in small.model.state_dict().items())


# Saved and read


def test_what_is_read_is_what_was_saved(summaries: Summaries, tmp_path: Path) -> None:
    save_summaries(tmp_path / "filters.json", summaries)
    back = load_summaries(tmp_path / "filters.json")
    assert back == summaries
    assert [list(summary.pushes) for summary in back] == [list(summary.pushes) for summary in summaries]
    assert isinstance(back[0].ngrams, tuple)


def test_no_summaries_come_back_as_none(tmp_path: Path) -> None:
    save_summaries(tmp_path / "filters.json", [])
    assert load_summaries(tmp_path / "filters.json") == ()


def test_a_summary_of_another_script_is_readable_in_the_file(tmp_path: Path) -> None:
    summary = FilterSummary(2, 0.25, {"A": 1.5, "B": -1}, (Ngram("北京 |", 3, 0.5), Ngram('"é\n', 1, 1e-3)))
    save_summaries(tmp_path / "filters.json", [summary])
    assert "北京 |" in (tmp_path / "filters.json").read_text(encoding="utf-8")
    assert load_summaries(tmp_path / "filters.json") == (summary,)


def test_a_summary_cannot_be_changed(summaries: Summaries) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        summaries[0].size = 3  # type: ignore[misc]


def test_a_dictionary_gives_the_summary_back(summaries: Summaries) -> None:
    assert FilterSummary.from_dict(summaries[0].to_dict()) == summaries[0]
    content = json.loads(json.dumps(summaries[0].to_dict()))
    assert FilterSummary.from_dict(content) == summaries[0]
    assert isinstance(content["ngrams"], list)  # what was given is not changed
    with pytest.raises(ConfigError, match="size is '1': a whole number is expected"):
        FilterSummary.from_dict({**content, "size": "1"})


def refused(path: Path) -> None:
    """An ArtifactError that names the file and its folder, in one line."""
    with pytest.raises(ArtifactError, match=r"filters\.json") as caught:
        load_summaries(path)
    assert str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "filters.json")


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "filters.json").mkdir()
    refused(tmp_path / "filters.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"\xff\xfe", b"no JSON", b"[" * 100_000, b"9" * 5000, b"\x00" * 10],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "filters.json").write_bytes(content)
    refused(tmp_path / "filters.json")


GOOD: dict[str, Any] = {
    "size": 1,
    "fires": 0.5,
    "pushes": {"A": 1.5, "B": -1},
    "ngrams": [{"text": "oil", "count": 3, "value": 0.25}],
}
NGRAM: dict[str, Any] = GOOD["ngrams"][0]
HUGE = 10**400  # more than a float holds
# Read as JSON, and not a list of summaries.
GARBAGE: list[Any] = [
    *(None, 5, True, "x", "", {}, {"a": 1}, GOOD, {"filters": [GOOD]}),
    *([None], [5], ["x"], [[]], [{}], [[GOOD]], [GOOD, None]),
    *([{**GOOD, "extra": 1}], [{**GOOD, "": 1}], [{**GOOD, "self": 1}], [{**GOOD, "name": "x"}]),
    *([{key: value for key, value in GOOD.items() if key != name}] for name in GOOD),
    *([{**GOOD, "size": value}] for value in (None, "1", 1.0, True, [1], math.nan, math.inf)),
    *([{**GOOD, "fires": value}] for value in (None, "1", True, [1], {}, math.nan, math.inf, HUGE, -HUGE)),
    *([{**GOOD, "pushes": value}] for value in (None, "A", 1, [], [["A", 1]], {"A": "1"}, {"A": None})),
    *([{**GOOD, "pushes": {"A": value}}] for value in (math.nan, -math.inf, True, [1], HUGE)),
    *([{**GOOD, "ngrams": value}] for value in (None, "", "x", 5, {}, {"text": 1}, [None], ["x"], [[]], [{}], [5])),
    *([{**GOOD, "ngrams": [{**NGRAM, "text": value}]}] for value in (None, 5, ["oil"])),
    *([{**GOOD, "ngrams": [{**NGRAM, "count": value}]}] for value in (None, "3", 3.5, True, math.nan)),
    *([{**GOOD, "ngrams": [{**NGRAM, "value": value}]}] for value in (None, "3", False, math.nan, math.inf, HUGE)),
    *([{**GOOD, "ngrams": [{**NGRAM, "extra": 1}]}], [{**GOOD, "ngrams": [{"text": "oil", "count": 3}]}]),
]


@pytest.mark.parametrize("content", GARBAGE, ids=lambda content: json.dumps(content)[:90])
def test_garbage_is_named(tmp_path: Path, content: Any) -> None:
    (tmp_path / "filters.json").write_text(json.dumps(content))
    refused(tmp_path / "filters.json")


def test_the_content_that_the_garbage_was_made_of_is_read(tmp_path: Path) -> None:
    (tmp_path / "filters.json").write_text(json.dumps([GOOD, GOOD]))
    assert load_summaries(tmp_path / "filters.json") == (FilterSummary.from_dict(GOOD),) * 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*GOOD, *NGRAM, "x"]) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(content=json_values, name=st.sampled_from([*GOOD, *NGRAM]))
def test_any_json_gives_summaries_or_an_artifact_error(
    tmp_path_factory: pytest.TempPathFactory, content: Any, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "filters.json"
    inside = {**GOOD, name: content} if name in GOOD else {**GOOD, "ngrams": [{**NGRAM, name: content}]}
    for whole in (content, [content], [inside]):
        path.write_text(json.dumps(whole), encoding="utf-8")
        try:
            assert all(isinstance(summary, FilterSummary) for summary in load_summaries(path))
        except ArtifactError:
            continue


# In a classifier


def test_a_classifier_keeps_them_and_names_filters_in_explanations(
    small: HeadlineClassifier, summaries: Summaries, tmp_path: Path
) -> None:
    parts = (small.config, small.tokenizer, small.label_encoder, small.model)
    named = HeadlineClassifier(*parts, filters=summaries)
    back = HeadlineClassifier.from_pretrained(named.save_pretrained(tmp_path / "model"))
    for model in (named, back):
        assert model.filters == summaries
        explanation = model.explain(STOCKS)
        assert explanation.filter_names == tuple(summary.name for summary in summaries)
        listed = explanation.to_dict()["filters"]
        assert [entry["looks_for"] for entry in listed] == [summaries[entry["index"]].name for entry in listed]
    assert small.filters == ()
    assert small.explain(STOCKS).filter_names == ()
    assert {entry["looks_for"] for entry in small.explain(STOCKS).to_dict()["filters"]} == {None}


# What the bundled models have learned

TOPICS = {
    "Business": "oil stocks shares profit prices earnings bank dollar fed economy sales merger bid",
    "Sci/Tech": "microsoft software windows internet linux google nasa space apple ibm virus web pc mobile",
    "Sports": "cup season coach win wins beat sox yankees game nfl league olympic champion team open",
    "World": "iraq iraqi baghdad killed israel israeli troops palestinian minister nuclear election un gaza",
}


def test_bundled_models_have_a_summary_for_each_filter(bundled: HeadlineClassifier) -> None:
    settings_ = bundled.config.model
    assert len(bundled.filters) == settings_.num_filters * len(settings_.filter_sizes)
    assert all(sorted(summary.pushes) == sorted(bundled.classes) for summary in bundled.filters)
    assert sum(len(summary.ngrams) == 8 for summary in bundled.filters) >= 0.9 * len(bundled.filters)


def test_bundled_ngrams_have_the_value_that_the_network_gives(bundled: HeadlineClassifier) -> None:
    """Typed as a headline, an n-gram without an edge has the value at the position of its window."""
    checked = 0
    for f, summary in list(enumerate(bundled.filters))[::7]:
        ngram = next((n for n in summary.ngrams if EDGE not in n.text and "(unknown)" not in n.text), None)
        if ngram is None:
            continue
        ids = [bundled.tokenizer.token_to_index[word] for word in ngram.text.split()]
        values = bundled.model.trace(torch.tensor([ids]), torch.tensor([len(ids)])).values[0, f]
        # The embedding is stored in 16 bits, the value was taken before.
        assert float(values[(summary.size - 1) // 2]) == pytest.approx(ngram.value, rel=5e-3, abs=5e-3)
        checked += 1
    assert checked >= 7


@pytest.mark.parametrize("label", CLASSES)
def test_bundled_filters_for_words_of_a_class_push_to_it(label: str) -> None:
    """Filters that are fired by words of sports push to Sports, and so for each class."""
    model = HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "default")
    about = []
    for summary in model.filters:
        words = [word for ngram in summary.ngrams for word in ngram.text.split()]
        if sum(word in TOPICS[label].split() for word in words) >= 3:
            about.append(summary)
    assert Counter(next(iter(summary.pushes)) for summary in about).most_common(1)[0][0] == label
    assert sum(next(iter(summary.pushes)) == label for summary in about) >= 5
    means = {name: np.mean([summary.pushes[name] for summary in about]) for name in CLASSES}
    assert max(means, key=means.__getitem__) == label
