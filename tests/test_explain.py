"""Explanations: the parts sum to the logits, they are input times gradient, and they name the words as typed."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from tests import reference
from tests.conftest import AWKWARD, STOCKS
from textcnn import HeadlineClassifier
from textcnn.config import ModelConfig
from textcnn.explain import contributions, picture_scale

few = settings(deadline=None, max_examples=40)
BOTH = pytest.mark.parametrize("preset", ["default", "lesson"])
LONG = " ".join(["oil", "market", "coach", "zxqv", "to"] * 100)  # 500 words


@pytest.fixture
def model(preset, small_default, small_lesson) -> HeadlineClassifier:
    return {"default": small_default, "lesson": small_lesson}[preset]


def _explain(network, ids):
    """Return the trace and the contributions of one headline."""
    ids = torch.tensor([ids], dtype=torch.int64)
    padded = ids if ids.shape[1] else torch.zeros(1, 1, dtype=torch.int64)
    trace = network.trace(padded, torch.tensor([ids.shape[1]]))
    return trace, contributions(network, ids, trace)


def _relative_error(parts, bias, logits) -> float:
    return float(np.abs(bias + parts.sum((1, 2)) - logits).max() / np.abs(logits).max())


def _softmax(logits) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


# The parts and the whole.


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_parts_sum_to_the_logits_in_float32(config, ids, seed):
    trace, parts = _explain(reference.network(config, seed), ids)
    assert parts.by_filter.dtype == np.float32
    assert _relative_error(parts.by_filter, parts.bias, trace.logits[0].detach().numpy()) <= 1e-5


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_parts_sum_to_the_logits_in_float64(config, ids, seed):
    trace, parts = _explain(reference.network(config, seed, torch.float64), ids)
    assert parts.by_filter.dtype == np.float64
    assert _relative_error(parts.by_filter, parts.bias, trace.logits[0].detach().numpy()) <= 1e-10


@pytest.mark.parametrize("title", [*AWKWARD, STOCKS, LONG], ids=lambda title: repr(title[:12]))
@BOTH
def test_any_headline_is_explained_in_full(model, title):
    """The parts sum to the logits, their softmax is the answer, and each part stands for a word as typed."""
    explanation = model.explain(title)
    logits = model.logits([title])[0]
    assert _relative_error(explanation.by_filter, explanation.bias, logits) <= 1e-5
    whole = (explanation.bias + explanation.contributions.sum(1)) / explanation.temperature
    answer = [explanation.distribution[name] for name in explanation.classes]
    np.testing.assert_allclose(_softmax(whole), answer, atol=1e-6)
    filters, words = len(explanation.filter_sizes), len(explanation.tokens)
    assert explanation.by_filter.shape == (4, filters, words)
    assert explanation.values.shape == (filters, words)
    assert all(0 <= token.start < token.end <= len(title) for token in explanation.tokens)


@BOTH
def test_all_titles_of_the_sample_are_explained_in_full(model, sample):
    logits = model.logits(sample.titles)
    for title, expected in zip(sample.titles, logits, strict=True):
        explanation = model.explain(title)
        assert _relative_error(explanation.by_filter, explanation.bias, expected) <= 1e-5


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_temperature_is_between_the_parts_and_the_answer(small_lesson, temperature):
    model = HeadlineClassifier(
        small_lesson.config,
        small_lesson.tokenizer,
        small_lesson.label_encoder,
        small_lesson.model,
        temperature=temperature,
    )
    explanation, plain = model.explain(STOCKS), small_lesson.explain(STOCKS)
    np.testing.assert_array_equal(explanation.contributions, plain.contributions)
    parts = explanation.bias + explanation.contributions.sum(1)
    np.testing.assert_allclose(
        _softmax(parts / temperature), [explanation.distribution[c] for c in model.classes], atol=1e-6
    )
    assert explanation.distribution == model.predict(STOCKS).distribution
    assert explanation.distribution != plain.distribution


# Input times gradient.


@few
@given(reference.configs, reference.headlines.filter(any), reference.seeds)
def test_contributions_are_input_times_gradient(config, ids, seed):
    """Autograd through the literal network, over one-hot rows or embeddings, gives the same figures."""
    ids = list(dict.fromkeys(ids))  # each word once: between equals autograd may choose another
    network = reference.network(config, seed, torch.float64)
    inputs = reference.literal_inputs(network, ids).requires_grad_()
    logits = reference.literal_logits(network, inputs)
    _, parts = _explain(network, ids)
    for class_, logit in enumerate(logits):
        (gradient,) = torch.autograd.grad(logit, inputs, retain_graph=True)
        expected = (inputs * gradient)[0].sum(0).detach()
        np.testing.assert_allclose(parts.by_filter[class_].sum(0), expected, rtol=1e-9, atol=1e-9)


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_bias_is_worked_out_from_the_parameters(config, ids, seed):
    """It is what the linear layers make of the active filters' biases: nothing that is left over hides in it."""
    network = reference.network(config, seed, torch.float64)
    trace, parts = _explain(network, ids)
    shifts = [float(bias) for conv in network.convs for bias in conv.bias.detach()]
    if (norm := network.batch_norm) is not None:
        for f, shift in enumerate(shifts):
            scale = norm.weight[f].detach() / (norm.running_var[f] + norm.eps).sqrt()
            shifts[f] = float((shift - norm.running_mean[f]) * scale + norm.bias[f].detach())
    units = [shift if on else 0.0 for shift, on in zip(shifts, trace.active[0], strict=True)]
    units = torch.tensor(units, dtype=torch.float64)
    for layer in (network.hidden, network.output):
        units = units if layer is None else layer(units)
    np.testing.assert_allclose(parts.bias, units.detach(), rtol=1e-9, atol=1e-9)


# Who gets nothing.


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_losers_get_exactly_nothing(config, ids, seed):
    """A filter at zero, and a word outside a filter's winning window, moved nothing."""
    trace, parts = _explain(reference.network(config, seed), ids)
    sizes = np.repeat(config.filter_sizes, config.num_filters)
    for f, size in enumerate(sizes):
        read = reference.covered(int(trace.winners[0, f]), int(size), len(ids)) if trace.active[0, f] else set()
        others = [t for t in range(len(ids)) if t not in read]
        assert (parts.by_filter[:, f, others] == 0).all()
        assert (parts.by_filter[:, f, sorted(read)] != 0).all()


def test_a_trained_model_has_filters_at_zero_and_they_get_nothing(small_default):
    explanation = small_default.explain(STOCKS)
    off = ~explanation.active
    assert 0 < off.sum() < len(off)
    assert (explanation.by_filter[:, off] == 0).all()
    assert (explanation.by_filter[:, ~off].sum(2) != 0).all()


@BOTH
def test_of_a_repeated_word_the_first_gets_it_all(model):
    """`market market market market market`: filters of one word were all won by the first of them."""
    explanation = model.explain(" ".join(["market"] * 5))
    single = explanation.filter_sizes == 1
    assert (explanation.by_filter[:, single, 1:] == 0).all()
    assert (explanation.by_filter[:, single, 0] != 0).any()


def test_a_word_twice_counts_once_with_filters_of_one_word(small_lesson):
    """With windows of one word the max cannot tell `market market` from `market`."""
    once, twice = small_lesson.explain("market"), small_lesson.explain("market market")
    np.testing.assert_allclose(twice.contributions[:, 0], once.contributions[:, 0], rtol=1e-5)
    assert (twice.contributions[:, 1] == 0).all()
    np.testing.assert_array_equal(twice.bias, once.bias)


def test_a_window_of_three_words_is_shared_by_its_offsets_own_terms():
    """One filter over three words with known weights: 1 + 20 + 300, and a word each gets its own."""
    network = reference.network(ModelConfig(embedding_dim=None, filter_sizes=(3,), num_filters=1))
    with torch.no_grad():
        network.convs[0].weight.fill_(-1)
        network.convs[0].weight[[5, 6, 7], :, 0] = torch.tensor([[1.0, -9, -9], [-9, 20, -9], [-9, -9, 300]])
        network.convs[0].bias.fill_(0.5)
        network.output.weight.copy_(torch.tensor([[1.0], [0.5], [0], [-1]]))
        network.output.bias.copy_(torch.tensor([0.0, 1, 2, 3]))
    trace, parts = _explain(network, [9, 5, 6, 7, 9])
    assert trace.winners.tolist() == [[2]]
    assert parts.by_filter[:, 0].tolist() == [
        [0, 1, 20, 300, 0],
        [0, 0.5, 10, 150, 0],
        [0, 0, 0, 0, 0],
        [0, -1, -20, -300, 0],
    ]
    assert parts.bias.tolist() == [0.5, 1.25, 2, 2.5]


# The windows.


@pytest.mark.parametrize("title", ["oil", "oil prices", STOCKS, LONG])
def test_windows_are_the_tokens_that_the_winning_output_reads(small_default, title):
    explanation = small_default.explain(title)
    for f, (size, winner) in enumerate(zip(explanation.filter_sizes, explanation.winners, strict=True)):
        first, after = explanation.window(f)
        assert set(range(first, after)) == reference.covered(int(winner), int(size), len(explanation.tokens))


def test_winners_are_the_columns_where_the_map_is_highest(small_default):
    explanation = small_default.explain(STOCKS)
    np.testing.assert_array_equal(explanation.winners, explanation.values.argmax(1))
    np.testing.assert_array_equal(explanation.active, explanation.values.max(1) > 0)


# The lesson's section Interpretability.


def test_the_lessons_headline_gives_its_map_of_50_filters_and_7_words(small_lesson):
    explanation = small_lesson.explain(STOCKS)
    assert explanation.values.shape == (50, 7)
    assert [token.text for token in explanation.tokens] == ["day", "new", "york", "stock", "market", "go", "bust"]
    typed = [STOCKS[token.start : token.end] for token in explanation.tokens]
    assert typed == ["day", "new", "york", "stock", "market", "go", "bust"]
    assert explanation.label == "Business"


def test_the_map_shows_the_raw_outputs_of_the_convolution(small_lesson):
    explanation, conv = small_lesson.explain(STOCKS), small_lesson.model.convs[0]
    for column, token in enumerate(explanation.tokens):
        expected = conv.weight[token.index, 0] + conv.bias
        np.testing.assert_allclose(explanation.values[:, column], expected.detach(), rtol=1e-6)


def test_the_lessons_softmax_turns_one_headlines_map_into_ones(small_lesson):
    """Without `dim` torch takes the first axis of a (1, filters, words) map: one headline, so every cell is one."""
    explanation = small_lesson.explain(STOCKS)
    values = explanation.values
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        lesson = F.softmax(torch.from_numpy(values)[None])  # type: ignore[call-overload]
    assert (lesson == 1).all()
    different_words = {token.index for token in explanation.tokens}
    assert len(np.unique(values)) == 50 * len(different_words) > 50  # ours tells words and filters apart


# Edges.


@BOTH
def test_an_empty_headline_is_explained_by_its_bias_alone(model):
    explanation = model.explain("?!")
    assert explanation.tokens == ()
    assert explanation.contributions.shape == (4, 0)
    assert not explanation.active.any()
    np.testing.assert_allclose(explanation.bias, model.logits(["?!"])[0], rtol=1e-5)
    assert explanation.to_dict()["filters"] == []


def test_a_headline_shorter_than_the_filters_has_one_window_for_each(small_default):
    explanation = small_default.explain("oil")
    assert {explanation.window(f) for f in range(len(explanation.winners))} == {(0, 1)}
    assert set(explanation.filter_sizes) == {1, 2, 3}
    assert (explanation.by_filter[:, explanation.active & (explanation.filter_sizes == 3)] != 0).all()


def test_500_words_have_500_columns(small_default):
    explanation = small_default.explain(LONG)
    assert explanation.contributions.shape == (4, 500)
    assert (explanation.contributions[:, 10:490] == 0).any()


def test_a_word_that_pushes_all_classes_alike_has_no_contribution(small_default):
    """The last layer is centred: over the classes a word's contributions sum to zero."""
    explanation = small_default.explain(STOCKS)
    assert np.abs(explanation.contributions).max() > 0.1
    np.testing.assert_allclose(explanation.contributions.sum(0), 0, atol=1e-5)


def test_an_explanation_cannot_be_changed(small_default):
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_default.explain(STOCKS).label = "Sports"


# As plain data.


@BOTH
def test_to_json_says_what_to_dict_says(model):
    explanation = model.explain("北京 Oil &lt;b&gt;Up market")
    assert json.loads(explanation.to_json()) == explanation.to_dict()
    assert "北京" in explanation.to_json()


@BOTH
def test_to_dict_has_the_documented_parts(model):
    explanation = model.explain(STOCKS)
    content = explanation.to_dict()
    assert list(content) == [
        *("title", "tokens", "label", "distribution", "classes", "contributions", "bias", "temperature", "filters"),
    ]
    assert content["title"] == STOCKS
    assert content["label"] == next(iter(content["distribution"])) == explanation.label
    assert content["classes"] == ["Business", "Sci/Tech", "Sports", "World"]
    assert [token["text"] for token in content["tokens"]] == [token.text for token in explanation.tokens]
    np.testing.assert_array_equal(content["contributions"], explanation.contributions)
    np.testing.assert_array_equal(content["bias"], explanation.bias)


@BOTH
def test_to_dict_lists_the_active_filters_with_what_they_moved(model):
    explanation = model.explain(STOCKS)
    filters = explanation.to_dict()["filters"]
    assert [entry["index"] for entry in filters] == np.flatnonzero(explanation.active).tolist()
    for entry in filters:
        f = entry["index"]
        assert entry["size"] == explanation.filter_sizes[f]
        assert entry["window"] == list(explanation.window(f))
        assert entry["value"] == pytest.approx(explanation.values[f].max())
        np.testing.assert_allclose(entry["contributions"], explanation.by_filter[:, f].sum(1), rtol=1e-6)
    moved = np.sum([entry["contributions"] for entry in filters], axis=0)
    np.testing.assert_allclose(moved, explanation.contributions.sum(1), atol=1e-4)


# Where the map's colours end.


def test_picture_scale_leaves_few_values_beyond_it(small_default, sample):
    scale = picture_scale(small_default.model, small_default.tokenizer.texts_to_sequences(sample.titles))
    sizes = np.concatenate([np.abs(small_default.explain(title).values).ravel() for title in sample.titles])
    assert 0 < (sizes > scale).mean() < 0.03


def test_picture_scale_counts_real_words_only():
    """Beside a long headline a short one is padded: what the convolution gives there, here 100, is no value."""
    network = reference.network(ModelConfig(embedding_dim=None, filter_sizes=(1,), num_filters=3))
    with torch.no_grad():
        network.convs[0].weight[1:] = -99
        network.convs[0].bias.fill_(100)
    assert picture_scale(network, [np.array([5]), np.array([5, 6, 7, 8])]) == 1


def test_picture_scale_of_headlines_without_words_is_one(small_default):
    assert picture_scale(small_default.model, [np.array([], dtype=np.int64)]) == 1
