"""Explanations: the parts sum to the logits, they are input times gradient, and they name the words as typed."""

import dataclasses
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from tests.conftest import AWKWARD, STOCKS
from textcnn import PRESETS, DataError, HeadlineClassifier
from textcnn.config import ModelConfig
from textcnn.explain import contributions, picture_scale
from textcnn.training import fit

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


def _check_input_times_gradient(inputs, logits, parts):
    for class_, logit in enumerate(logits):
        (gradient,) = torch.autograd.grad(logit, inputs, retain_graph=True)
        expected = (inputs * gradient)[0].sum(0).detach()
        np.testing.assert_allclose(parts.by_filter[class_].sum(0), expected, rtol=1e-9, atol=1e-9)


def _check_bias(network, trace, parts):
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


@few
@given(reference.configs, reference.headlines.filter(any), reference.seeds)
def test_contributions_are_input_times_gradient(config, ids, seed):
    """Autograd through the literal network, over one-hot rows or embeddings, gives the same figures."""
    ids = list(dict.fromkeys(ids))  # each word once: between equals autograd may choose another
    network = reference.network(config, seed, torch.float64)
    inputs = reference.literal_inputs(network, ids).requires_grad_()
    logits = reference.literal_logits(network, inputs)
    _, parts = _explain(network, ids)
    _check_input_times_gradient(inputs, logits, parts)


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_bias_is_worked_out_from_the_parameters(config, ids, seed):
    """It is what the linear layers make of the active filters' biases: nothing that is left over hides in it."""
    network = reference.network(config, seed, torch.float64)
    trace, parts = _explain(network, ids)
    _check_bias(network, trace, parts)


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_bias_is_not_what_is_left_of_the_logits(config, ids, seed):
    """With logits that are none, parts and bias come out the same: they are worked out from winners alone."""
    network = reference.network(config, seed, torch.float64)
    trace, parts = _explain(network, ids)
    nothing = {name: torch.full_like(getattr(trace, name), torch.nan) for name in ("logits", "pooled", "values")}
    blind = contributions(network, torch.tensor([ids], dtype=torch.int64), dataclasses.replace(trace, **nothing))
    np.testing.assert_array_equal(blind.bias, parts.bias)
    np.testing.assert_array_equal(blind.by_filter, parts.by_filter)


@pytest.mark.parametrize("activation", ["relu", "none"])
@pytest.mark.parametrize("hidden_dim", [None, 7])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("embedding_dim", [None, 8])
def test_every_kind_of_network_is_explained_in_full(embedding_dim, batch_norm, hidden_dim, activation):
    """Each kind once for sure, which the draws above leave to chance; the headline shorter than the filter, too."""
    for sizes, words in itertools.product([(1,), (2,), (3,), (4,), (9,), (1, 2, 3), (5, 2)], [0, 1, 2, 3, 9]):
        config = ModelConfig(
            embedding_dim=embedding_dim,
            filter_sizes=sizes,
            num_filters=4,
            activation=activation,
            batch_norm=batch_norm,
            hidden_dim=hidden_dim,
            dropout=0.5,
        )
        network = reference.network(config, seed=words, dtype=torch.float64)
        ids = list(range(5, 5 + words))
        trace, parts = _explain(network, ids)
        logits = trace.logits[0].detach().numpy()
        assert _relative_error(parts.by_filter, parts.bias, logits) <= 1e-10
        _check_bias(network, trace, parts)
        if ids:
            inputs = reference.literal_inputs(network, ids).requires_grad_()
            literal = reference.literal_logits(network, inputs)
            np.testing.assert_allclose(logits, literal.detach(), rtol=1e-9, atol=1e-9)
            _check_input_times_gradient(inputs, literal, parts)


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
        *("title", "tokens", "label", "distribution", "classes", "contributions", "bias", "temperature"),
        *("left_out", "filters"),
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
        assert list(entry) == ["index", "looks_for", "size", "window", "value", "contributions"]
        assert entry["size"] == explanation.filter_sizes[f]
        assert entry["window"] == list(explanation.window(f))
        assert entry["value"] == pytest.approx(explanation.values[f].max())
        np.testing.assert_allclose(entry["contributions"], explanation.by_filter[:, f].sum(1), rtol=1e-6)
    moved = np.sum([entry["contributions"] for entry in filters], axis=0)
    np.testing.assert_allclose(moved, explanation.contributions.sum(1), atol=1e-4)


# With one token left out.


def _without_each(model, title, places):
    """Return the probabilities of a headline without each of some of its tokens, one after the other."""
    ids = [token.index for token in model.tokenizer.tokenize(title)]
    rows = []
    for place in places:
        others = ids[:place] + ids[place + 1 :]
        logits = model.model(torch.tensor([others or [0]]), torch.tensor([len(others)]))[0]
        rows.append(torch.softmax(logits.detach().double() / model.temperature, 0).numpy())
    return np.array(rows).reshape(len(rows), 4)


def _calibrated(model, temperature):
    parts = (model.config, model.tokenizer, model.label_encoder, model.model)
    return HeadlineClassifier(*parts, temperature=temperature)


@pytest.mark.parametrize("title", [*AWKWARD[:17], STOCKS, "oil", "market coach", "oil oil market oil oil"], ids=ascii)
@BOTH
def test_left_out_is_the_change_of_the_answer_without_the_token(model, title):
    model = _calibrated(model, 1.5)
    explanation = model.explain(title, left_out=True)
    places = range(len(explanation.tokens))
    before = np.array([explanation.distribution[name] for name in explanation.classes])
    assert explanation.left_out.shape == (4, len(places))
    np.testing.assert_allclose(explanation.left_out.T, _without_each(model, title, places) - before, atol=1e-6)


@BOTH
def test_left_out_of_500_tokens_is_that_of_each(model):
    title = LONG.replace("to", "win")  # the lesson's preset does not read `to`
    explanation = model.explain(title, left_out=True)
    assert explanation.left_out.shape == (4, 500)
    places = [0, 1, 2, 3, 4, 5, 250, 498, 499]
    before = np.array([explanation.distribution[name] for name in explanation.classes])
    np.testing.assert_allclose(
        explanation.left_out[:, places].T, _without_each(model, title, places) - before, atol=1e-6
    )


@settings(deadline=None, max_examples=25)
@given(words=st.lists(st.sampled_from(["oil", "market", "coach", "zxqv", "iraq", "software"]), max_size=8))
def test_of_plain_words_left_out_is_the_prediction_of_the_rest(small_default, small_lesson, words):
    for model in (small_default, small_lesson):
        found = model.explain(" ".join(words), left_out=True).left_out
        rest = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
        expected = model.predict_proba(rest) - model.predict_proba([" ".join(words)])
        np.testing.assert_allclose(found.T, expected, atol=1e-6)
        np.testing.assert_allclose(found.sum(0), 0, atol=1e-6)


@BOTH
def test_left_out_differs_from_the_contribution_of_a_repeated_word(model):
    """The first `market` of five has it all, and the answer hardly needs it: then another fires the filters."""
    explanation = model.explain(" ".join(["market"] * 5), left_out=True)
    assert np.abs(explanation.contributions[:, 0]).max() > 0.05
    np.testing.assert_allclose(explanation.left_out, explanation.left_out[:, :1].repeat(5, axis=1), atol=1e-6)
    assert np.abs(explanation.left_out[:, 0]).max() < 0.01


@BOTH
def test_the_only_word_left_out_leaves_the_answer_of_no_word(model):
    explanation = model.explain("market", left_out=True)
    empty = model.predict_proba([""])[0]
    before = model.predict_proba(["market"])[0]
    np.testing.assert_allclose(explanation.left_out[:, 0], empty - before, atol=1e-6)
    assert np.abs(explanation.left_out).max() > 0.01


def test_left_out_is_worked_out_on_request_alone(model_of_characters, small_default):
    for model in (model_of_characters, small_default):
        assert model.explain(STOCKS).left_out is None
        assert model.explain(STOCKS).to_dict()["left_out"] is None
        explanation = model.explain(STOCKS, left_out=True)
        plain = dataclasses.replace(explanation, left_out=None).to_dict()
        assert plain == model.explain(STOCKS).to_dict()  # nothing else depends on it


@BOTH
def test_left_out_is_in_the_plain_data(model):
    explanation = model.explain("Oil market zxqv", left_out=True)
    assert explanation.to_dict()["left_out"] == explanation.left_out.tolist()
    assert json.loads(explanation.to_json()) == explanation.to_dict()
    assert model.explain("?!", left_out=True).to_dict()["left_out"] == [[], [], [], []]


# The classes.


@BOTH
def test_a_class_is_found_by_name_and_is_by_default_the_predicted_one(model):
    explanation = model.explain(STOCKS)
    assert [explanation.class_index(name) for name in explanation.classes] == [0, 1, 2, 3]
    assert explanation.class_index() == explanation.classes.index(explanation.label)


@pytest.mark.parametrize("target", ["sports", "", "Oil", "Business ", 0], ids=repr)
@pytest.mark.parametrize("use", ["class_index", "in_words", "to_html"])
def test_an_unknown_class_is_named_with_those_allowed(small_default, use, target):
    for title in (STOCKS, "?!"):
        with pytest.raises(DataError, match=f"Got the class {target!r}: .* has Business, Sci/Tech, Sports, World"):
            getattr(small_default.explain(title), use)(target)


# The headline in pieces.

odd_signs = st.sampled_from(
    [
        *"aZ19 .,;()&<>#$^_\\'\"\t\n\r\x00İßﬁΣ京🎉é",
        *("e\u0301", "&lt;", "&amp;lt;", "#39;", "quot;", "&#1234;", "&copy;", "&NotEqualTilde;", "<b>", "</b>"),
        *("oil", "the", "market", "zxqv", "(x)", "हिन्दी", "\ud800", "\u2028", "\u200b"),
    ]
)
odd_titles = st.lists(odd_signs | st.text(max_size=3), max_size=14).map("".join)


@pytest.fixture(scope="session")
def model_of_characters():
    """A model whose tokens are characters: two of them can come from one place of the headline."""
    titles = ["oil & gas <up>", "İstanbul wins 2-1", "new <b>film</b> \u2260", "zebra quip of jack & the lux"] * 5
    labels = ["Business", "Sports", "Sci/Tech", "World"] * 5
    config = PRESETS["default"].replace(
        char_level=True, epochs=1, num_filters=3, embedding_dim=4, batch_size=4, vectors=None
    )
    return HeadlineClassifier.from_fit(fit(titles, labels, config), config)


def _check_pieces(explanation):
    pieces = list(explanation.pieces())
    assert "".join(text for text, _ in pieces) == explanation.title
    assert all(text for text, _ in pieces)
    places = [place for _, tokens in pieces for place in tokens]
    assert places == list(range(len(explanation.tokens)))
    start = 0
    for text, tokens in pieces:
        for place in tokens:
            token = explanation.tokens[place]
            assert start <= token.start < token.end <= start + len(text)
        if tokens:  # nothing at its ends that no token was read from
            assert start == min(explanation.tokens[place].start for place in tokens)
            assert start + len(text) == max(explanation.tokens[place].end for place in tokens)
        start += len(text)
    for (_, one), (_, other) in itertools.pairwise(pieces):
        assert one or other  # what lies between two words is one piece


@settings(deadline=None, max_examples=150)
@given(title=odd_titles)
def test_pieces_are_the_headline_and_have_each_token_once(small_default, small_lesson, model_of_characters, title):
    for model in (small_default, small_lesson, model_of_characters):
        _check_pieces(model.explain(title))


@pytest.mark.parametrize("title", [*AWKWARD, STOCKS], ids=lambda title: ascii(title[:12]))
@BOTH
def test_awkward_headlines_are_cut_in_pieces(model, title):
    _check_pieces(model.explain(title))


def test_pieces_of_a_plain_headline_are_its_words_and_what_lies_between(small_default):
    pieces = list(small_default.explain(" Oil up, \\$5!").pieces())
    assert pieces == [(" ", ()), ("Oil", (0,)), (" ", ()), ("up", (1,)), (", \\$", ()), ("5", (2,)), ("!", ())]


def test_tokens_that_one_stretch_gave_share_a_piece(model_of_characters):
    """`&NotEqualTilde;` is two characters, and `İ` becomes two in lower case."""
    pieces = list(model_of_characters.explain("a&NotEqualTilde;İb").pieces())
    assert pieces == [("a", (0,)), ("&NotEqualTilde;", (1, 2)), ("İ", (3, 4)), ("b", (5,))]


# As HTML.


class _Reader(HTMLParser):
    """Collects the text, the tags, and each word with its title and style."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.tags, self.spans, self.open = "", [], [], 0

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open += 1
        self.spans.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        self.open -= 1

    def handle_data(self, data):
        self.text += data
        self.spans[-1][1] += data


def _read(page):
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert set(reader.tags) == {"span"}
    assert reader.open == 0
    return reader


@settings(deadline=None, max_examples=100)
@given(title=odd_titles)
def test_the_text_of_the_html_is_the_headline(small_default, small_lesson, model_of_characters, title):
    for model in (small_default, small_lesson, model_of_characters):
        assert _read(model.explain(title).to_html()).text == title


@pytest.mark.parametrize(
    "title",
    [*AWKWARD, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</span><style>*{}</style>", "&lt;b&gt;"],
    ids=lambda title: ascii(title[:12]),
)
@BOTH
def test_html_of_an_awkward_headline_is_nothing_but_spans(model, title):
    page = model.explain(title).to_html()
    assert _read(page).text == title
    assert "<script" not in page
    assert "<img" not in page


def test_the_name_of_a_class_is_escaped(small_default):
    explanation = small_default.explain("oil")
    name = '<b title="x">'
    changed = dataclasses.replace(explanation, classes=(name, *explanation.classes[1:]), label=name)
    reader = _read(changed.to_html())
    assert reader.spans[1][0]["title"].endswith(f" for {name}")


@pytest.mark.parametrize("target", [None, "Business", "Sci/Tech", "Sports", "World"])
@BOTH
def test_the_tint_is_what_the_word_pushed(model, target):
    """Red for the class and blue against it, and stronger the more it pushed."""
    explanation = model.explain("Coach wins cup, zxqv oil market")
    pushed = explanation.contributions[explanation.class_index(target)]
    reach = max(1.0, np.abs(pushed).max())
    words = [
        (attributes, text) for attributes, text in _read(explanation.to_html(target)).spans if "title" in attributes
    ]
    assert [text for _, text in words] == ["Coach", "wins", "cup", "zxqv", "oil", "market"]
    assert (explanation.contributions > 0).any()
    assert (explanation.contributions < 0).any()
    for (attributes, _), push in zip(words, pushed, strict=True):
        colour, strength = re.search(r"rgba\((\d+,\d+,\d+),([\d.]+)\)", attributes["style"]).groups()
        red, _, blue = map(int, colour.split(","))
        assert (red > blue) == (push > 0)
        assert float(strength) == pytest.approx(0.5 * abs(push) / reach, abs=1e-3)
        assert attributes["title"].startswith(f"{push:+.2f} for {target or explanation.label}")


def test_the_strongest_tint_leaves_the_text_readable(small_default):
    explanation = small_default.explain(STOCKS)
    strong = dataclasses.replace(explanation, by_filter=explanation.by_filter * 1000)
    shown = [float(x) for x in re.findall(r"rgba\(\d+,\d+,\d+,([\d.]+)\)", strong.to_html())]
    assert max(shown) == 0.5
    weak = dataclasses.replace(explanation, by_filter=explanation.by_filter / 1000)
    assert max(float(x) for x in re.findall(r"rgba\(\d+,\d+,\d+,([\d.]+)\)", weak.to_html())) < 0.01


@BOTH
def test_unknown_words_are_marked_and_what_is_not_read_is_pale(model):
    spans = _read(model.explain("Oil, zxqv!").to_html()).spans[1:]
    marked = {text: "dotted" in attributes["style"] for attributes, text in spans}
    assert marked == {"Oil": False, ", ": False, "zxqv": True, "!": False}
    told = {text: attributes.get("title", "") for attributes, text in spans}
    assert told["zxqv"].endswith("; the model does not know this word")
    assert "know" not in told["Oil"]
    assert [text for attributes, text in spans if "opacity" in attributes["style"]] == [", ", "!"]


def test_a_notebook_shows_the_html(small_default):
    explanation = small_default.explain(STOCKS)
    assert explanation._repr_html_() == explanation.to_html() == explanation.to_html(explanation.label)
    assert explanation.to_html("World") != explanation.to_html("Sports")


# In words.


def _in_words(explanation, target):
    """The words, the filters that they fired and the share, counted filter by filter; None if no word speaks for it."""
    row = list(explanation.classes).index(target or explanation.label)
    case = {}
    for t in range(len(explanation.tokens)):
        push = sum(float(explanation.by_filter[row, f, t]) for f in range(len(explanation.active)))
        if push > 0:
            case[t] = push
    if not case:
        return None
    ranked = sorted(case, key=lambda t: -case[t])
    best = []
    for t in ranked[:3]:  # until half of the case is carried
        if sum(case[word] for word in best) < 0.5 * sum(case.values()):
            best.append(t)
    fired = 0
    for f, size in enumerate(explanation.filter_sizes):
        read = reference.covered(int(explanation.winners[f]), int(size), len(explanation.tokens))
        fired += bool(explanation.active[f] and read & set(best))
    typed = [explanation.title[explanation.tokens[t].start : explanation.tokens[t].end] for t in sorted(best)]
    return typed, fired, sum(case[t] for t in best) / sum(case.values())


@pytest.mark.parametrize("target", [None, "Business", "Sci/Tech", "Sports", "World"])
@pytest.mark.parametrize("title", [STOCKS, "Coach wins cup", "oil", "Oil Oil market", "zxqv Oil &lt;b&gt;Up market"])
@BOTH
def test_in_words_are_the_shares_and_filters_counted_one_by_one(model, title, target):
    explanation = model.explain(title)
    expected = _in_words(explanation, target)
    said = explanation.in_words(target)
    name = target or explanation.label
    if expected is None:
        assert said == f"No word speaks for {name}."
        return
    words, fired, share = expected
    assert re.findall("“(.*?)”", said) == words
    end = re.fullmatch(
        rf".* fired (\d+) of (\d+) filters and carried (\d+)% of what speaks for {re.escape(name)}\.", said
    )
    assert int(end[1]) == fired
    assert int(end[2]) == len(explanation.active)
    assert int(end[3]) == pytest.approx(100 * share, abs=0.51)


@settings(deadline=None, max_examples=60)
@given(title=odd_titles)
def test_in_words_is_a_sentence_for_any_headline(small_default, small_lesson, model_of_characters, title):
    for model in (small_default, small_lesson, model_of_characters):
        explanation = model.explain(title)
        for name in explanation.classes:
            assert explanation.in_words(name).endswith((f"speaks for {name}.", "There is no word to read."))


def test_as_many_words_are_named_as_carry_half_of_the_case_but_three_at_most(small_lesson):
    explanation = small_lesson.explain("oil market coach bank wins")
    parts = np.zeros((4, 50, 5), dtype=np.float32)
    for shares, words, share in (
        ([5, 1, -9, 0, 0], "“oil”", 83),
        ([4, 3, 2, -1, 0], "“oil” and “market”", 78),
        ([2, 2, 2, 2, 2], "“oil”, “market” and “coach”", 60),
        ([0, 0, 1, 0, 9], "“wins”", 90),
    ):
        parts[0, 0] = shares
        said = dataclasses.replace(explanation, by_filter=parts).in_words("Business")
        assert said.startswith(f"{words} fired ")
        assert f" {share}% of what speaks for Business." in said


def test_a_class_that_no_word_speaks_for_has_none(small_default):
    explanation = small_default.explain(STOCKS)
    against = dataclasses.replace(explanation, by_filter=-np.abs(explanation.by_filter))
    assert against.in_words("World") == "No word speaks for World."
    assert against.in_words() == f"No word speaks for {explanation.label}."


@BOTH
def test_without_words_there_is_none_to_read(model):
    assert model.explain("?!").in_words() == "There is no word to read."
    assert model.explain("").in_words("Sports") == "There is no word to read."
    assert _read(model.explain("?!").to_html("Sports")).text == "?!"


@pytest.mark.parametrize(("length", "shown"), [(30, "x" * 30), (31, "x" * 29 + "…"), (10_000, "x" * 29 + "…")])
def test_long_words_are_cut(small_default, length, shown):
    explanation = small_default.explain("x" * length)
    parts = np.ones((4, len(explanation.active), 1), dtype=np.float32)
    assert dataclasses.replace(explanation, by_filter=parts).in_words().startswith(f"“{shown}” fired ")


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
