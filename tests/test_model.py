"""The network: the look-up convolution against the literal one, the masked max, PAD, batch norm, parameter counts."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests import reference
from textcnn import PRESETS
from textcnn.batches import HeadlineDataset
from textcnn.config import ModelConfig
from textcnn.model import EmbeddedConvolution, LookupConvolution, TextCNN, same_padding

few = settings(deadline=None, max_examples=40)
ONE_HOT = ModelConfig(embedding_dim=None, filter_sizes=(1, 2, 3), num_filters=4, activation="none")
EMBEDDED = ModelConfig(embedding_dim=8, filter_sizes=(1, 2, 3), num_filters=4, activation="none")
KINDS = pytest.mark.parametrize("config", [ONE_HOT, EMBEDDED], ids=["one-hot", "embedded"])


def _batch(*headlines):
    dataset = HeadlineDataset([np.array(ids, dtype=np.int64) for ids in headlines])
    return dataset.batch(torch.arange(len(dataset)))


def _trace(model, *headlines):
    batch = _batch(*headlines)
    return model.trace(batch.ids, batch.lengths)


# Padding and shapes: the lesson's section Filters.


@pytest.mark.parametrize(
    ("length", "filter_size", "stride", "expected"),
    [
        (8, 3, 1, (1, 1)),  # the lesson's example
        (8, 1, 1, (0, 0)),
        (8, 2, 1, (0, 1)),  # half a zero goes to the right
        (8, 4, 1, (1, 2)),
        (8, 3, 2, (4, 5)),
        (8, 2, 2, (4, 4)),
        (1, 5, 1, (2, 2)),  # a headline shorter than the filter
    ],
)
def test_same_padding_worked_examples(length, filter_size, stride, expected):
    assert same_padding(length, filter_size, stride) == expected


@few
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
def test_same_padding_gives_as_many_windows_as_tokens(length, filter_size, stride):
    left, right = same_padding(length, filter_size, stride)
    assert (left, right) == reference.same_padding(length, filter_size, stride)
    assert reference.valid_length(left + length + right, filter_size, stride) == length


def test_same_padding_of_no_tokens_is_never_negative():
    assert same_padding(0, 1, 3) == (0, 0)


@pytest.mark.parametrize(("padding", "windows"), [((0, 0), 6), ((1, 1), 8)], ids=["VALID", "SAME"])
def test_lesson_shapes_of_a_batch(padding, windows):
    """64 headlines of 8 characters over 10 letters, 50 filters of size 3: 6 windows with VALID, 8 with SAME."""
    torch.manual_seed(1)
    x, conv = torch.randn(64, 8, 10), nn.Conv1d(10, 50, 3)
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    ours = np.stack([reference.convolve(headline, weight, bias, padding=padding) for headline in x.numpy()])
    assert ours.shape == (64, 50, windows)
    theirs = conv(F.pad(x.transpose(1, 2), padding)).detach()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


# The reference itself.


def test_reference_one_hot_of_the_lessons_vowels():
    """Over a, e, i, o, u the text `aou` is three rows."""
    assert reference.to_categorical([0, 3, 4], 5).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


def test_reference_pads_with_zero_rows():
    """Headlines of 6, 5 and 6 tokens over 500 become (3, 6, 500), as in the lesson."""
    one_hot = [reference.to_categorical(range(2, 2 + n), 500) for n in (6, 5, 6)]
    padded = reference.pad_sequences(one_hot)
    assert padded.shape == (3, 6, 500)
    assert padded[1, 5].sum() == 0
    assert padded.sum() == 17
    assert reference.pad_sequences(one_hot, max_seq_len=9).shape == (3, 9, 500)


@few
@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3), reference.seeds)
def test_reference_convolution_is_torchs(length, filter_size, stride, left, right, seed):
    torch.manual_seed(seed)
    left = max(left, filter_size - length)  # torch refuses a filter longer than its input
    x, conv = torch.randn(length, 6).double(), nn.Conv1d(6, 3, filter_size, stride).double()
    ours = reference.convolve(
        x.numpy(), conv.weight.detach().numpy(), conv.bias.detach().numpy(), stride, (left, right)
    )
    theirs = conv(F.pad(x.T[None], (left, right)))[0].detach()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


# The look-up convolution.


@few
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any),
    filter_size=st.integers(1, 5),
    num_filters=st.integers(1, 4),
    num_tokens=st.integers(3, 30),
    seed=reference.seeds,
)
def test_lookup_is_the_one_hot_convolution_forward_and_gradient(lengths, filter_size, num_filters, num_tokens, seed):
    torch.manual_seed(seed)
    headlines = [torch.randint(1, num_tokens, (length,)).tolist() for length in lengths]
    lookup = LookupConvolution(num_tokens, num_filters, filter_size).double()
    literal = reference.literal_conv1d(lookup)
    one_hot = reference.pad_sequences([reference.to_categorical(ids, num_tokens) for ids in headlines])

    ours = lookup(_batch(*headlines).ids)
    theirs = literal(torch.from_numpy(one_hot).transpose(1, 2))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)

    direction = torch.randn_like(theirs)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    conv = literal[1]
    torch.testing.assert_close(lookup.weight.grad, conv.weight.grad.permute(1, 2, 0), rtol=0, atol=1e-12)
    torch.testing.assert_close(lookup.bias.grad, conv.bias.grad, rtol=0, atol=1e-12)


def test_lookup_of_one_headline_by_hand():
    """Filter size 2 reads a token and the one after it; after the last stands nothing."""
    conv = LookupConvolution(num_tokens=4, num_filters=1, filter_size=2)
    with torch.no_grad():
        conv.weight[:, :, 0] = torch.tensor([[0, 0], [1, 10], [2, 20], [3, 30]])
        conv.bias.fill_(0.5)
    assert conv(torch.tensor([[3, 1, 2]])).tolist() == [[[3 + 10 + 0.5, 1 + 20 + 0.5, 2 + 0.5]]]


@pytest.mark.parametrize("filter_size", [1, 2, 5])
def test_offset_terms_add_up_to_the_outputs(filter_size):
    """What explanations share out is what the convolution adds up, in both kinds of convolution."""
    ids = torch.tensor([[3, 1, 2, 5]])
    embedding = nn.Embedding(9, 6)
    embedded = EmbeddedConvolution(6, 4, filter_size), embedding(ids)
    for conv, inputs in (embedded, (LookupConvolution(9, 4, filter_size), ids)):
        terms, outputs = conv.offset_terms(inputs), conv(inputs)
        left = (filter_size - 1) // 2
        for t in range(4):
            read = [(t + o - left, o) for o in range(filter_size) if 0 <= t + o - left < 4]
            total = conv.bias + sum(terms[0, place, o] for place, o in read)
            torch.testing.assert_close(outputs[0, :, t], total)


# The whole network.


def test_lesson_preset_has_the_lessons_parameter_count():
    """500 tokens and 4 classes: 25,050 in the convolution, 5,100 in the hidden layer, 404 in the output."""
    model = TextCNN(PRESETS["lesson"].model, num_tokens=500, num_classes=4)
    counts = [sum(p.numel() for p in part.parameters()) for part in (model.convs, model.hidden, model.output)]
    assert counts == [25_050, 5_100, 404]
    assert sum(p.numel() for p in model.parameters()) == 30_554


def test_lesson_preset_gives_50_values_a_token_and_4_logits():
    model = TextCNN(PRESETS["lesson"].model, num_tokens=500, num_classes=4)
    trace = model.trace(torch.randint(1, 500, (64, 14)), torch.full((64,), 14))
    assert trace.values.shape == (64, 50, 14)
    assert trace.logits.shape == (64, 4)


@few
@given(reference.configs, st.lists(reference.words, min_size=1, max_size=12), reference.seeds)
def test_logits_are_those_of_the_literal_network(config, ids, seed):
    model = reference.network(config, seed, torch.float64)
    expected = reference.literal_logits(model, reference.literal_inputs(model, ids))
    torch.testing.assert_close(_trace(model, ids).logits[0], expected, rtol=1e-10, atol=1e-10)


@few
@given(reference.configs, st.lists(st.integers(0, 30), min_size=64, max_size=64), reference.seeds)
def test_a_headline_gets_the_same_probabilities_alone_and_in_any_batch(config, lengths, seed):
    model = reference.network(config, seed)
    headlines = [torch.randint(1, reference.VOCABULARY, (length,)).tolist() for length in lengths]
    together = _trace(model, *headlines).logits.softmax(1)
    alone = torch.cat([_trace(model, ids).logits for ids in headlines]).softmax(1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@KINDS
def test_padding_never_wins_the_max(config):
    """All outputs of real words are below zero; an all-zero window gives zero, and would win in the lesson's code."""
    model = reference.network(config)
    with torch.no_grad():
        for conv in model.convs:
            conv.bias.fill_(0)
            if config.embedding_dim is None:
                conv.weight.copy_(-conv.weight.abs())
            else:
                conv.weight.copy_(conv.weight.abs())
        if model.embedding is not None:
            model.embedding.weight.copy_(-model.embedding.weight.abs())
    short = [5, 9]
    alone, beside = _trace(model, short), _trace(model, short, list(range(2, 12)))
    assert (alone.values < 0).all()
    torch.testing.assert_close(beside.pooled[0], alone.pooled[0])
    assert (beside.pooled < 0).all()
    lesson = reference.max_over_time_with_padding(beside.values)
    assert (lesson[0] == 0).all()  # the zeros have won: this headline's answer hangs on its batch


@KINDS
def test_an_empty_headline_pools_to_zero(config):
    trace = _trace(reference.network(config), [], [3, 4])
    assert trace.pooled[0].tolist() == [0] * 12
    assert not trace.active[0].any()
    assert trace.pooled[1].abs().min() > 0


@pytest.mark.parametrize("batch_norm", [False, True])
@KINDS
def test_an_empty_headline_trains_without_nan(config, batch_norm):
    model = reference.network(ModelConfig(**{**vars(config), "batch_norm": batch_norm})).train()
    batch = _batch([], [3, 4, 5], [])
    loss = F.cross_entropy(model(batch.ids, batch.lengths), torch.tensor([0, 1, 2]))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_only_empty_headlines_get_finite_logits():
    model = reference.network(ModelConfig(embedding_dim=8, num_filters=4, batch_norm=True))
    assert torch.isfinite(_trace(model, [], []).logits).all()


def test_batch_norm_trains_on_a_batch_of_one_word():
    """A last batch of one headline with one word left a user with torch's `Expected more than 1 value per channel`."""
    model = reference.network(ModelConfig(embedding_dim=8, num_filters=4, batch_norm=True)).train()
    assert torch.isfinite(_trace(model, [3]).logits).all()


@KINDS
def test_pad_stays_exactly_zero_while_training(config):
    model = reference.network(config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    batch = _batch([3, 4, 5, 6, 7], [8], [])
    before = [weight.clone() for weight in model.token_weights]
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(model(batch.ids, batch.lengths), torch.tensor([0, 1, 2])).backward()
        assert all((weight.grad[0] == 0).all() for weight in model.token_weights)
        optimizer.step()
    for weight, old in zip(model.token_weights, before, strict=True):
        assert (weight[0] == 0).all()
        assert (weight != old).any()  # the words did learn


@KINDS
def test_first_weights_of_pad_are_zero(config):
    model = TextCNN(config, num_tokens=9, num_classes=2)
    assert all((weight[0] == 0).all() and (weight[1:] != 0).any() for weight in model.token_weights)


@pytest.mark.parametrize("copies", [2, 5, 7])
@pytest.mark.parametrize("embedding_dim", [None, 8, 128])
def test_the_first_of_equals_wins(embedding_dim, copies):
    """Of a word that stands several times the first is named, and the gradient goes to it alone."""
    model = reference.network(ModelConfig(embedding_dim, filter_sizes=(1,), num_filters=128), seed=copies)
    trace = _trace(model, [7] * copies)
    trace.values.retain_grad()
    trace.pooled.sum().backward()
    assert trace.winners.unique().tolist() == [0]
    assert trace.values.grad[0, :, 0].tolist() == trace.active[0].float().tolist()
    assert (trace.values.grad[0, :, 1:] == 0).all()


def test_the_gradient_goes_to_the_winner_alone():
    model = reference.network(EMBEDDED)
    trace = _trace(model, [7, 3, 9, 3])
    trace.values.retain_grad()
    trace.pooled.sum().backward()
    expected = F.one_hot(trace.winners[0], 4).float()
    assert torch.equal(trace.values.grad[0], expected)


@few
@given(
    st.lists(st.lists(st.integers(1, 9), min_size=0, max_size=7), min_size=1, max_size=5),
    st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True),
    st.sampled_from(["relu", "none"]),
    st.integers(0, 99),
)
def test_learning_at_the_winners_gives_the_gradient_of_the_whole_pass(headlines, sizes, activation, seed):
    """While training, a look-up computes the winners alone; in evaluation mode, all positions."""
    config = ModelConfig(
        embedding_dim=None, filter_sizes=tuple(sizes), num_filters=3, activation=activation, hidden_dim=4
    )
    batch = _batch(*headlines)
    found = []
    for training in (True, False):
        model = reference.network(config, seed).requires_grad_(True).train(training)
        logits = model(batch.ids, batch.lengths)
        logits.square().sum().backward()
        found.append([logits.detach(), *(parameter.grad for parameter in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_relu_units_at_zero_are_not_active():
    model = reference.network(ModelConfig(embedding_dim=None, filter_sizes=(1,), num_filters=2))
    with torch.no_grad():
        model.convs[0].bias.zero_()
        model.convs[0].weight[5, 0] = torch.tensor([2.0, -3.0])
    trace = _trace(model, [5])
    assert trace.pooled.tolist() == [[2, 0]]
    assert trace.active.tolist() == [[True, False]]


# Batch norm.


def test_padding_does_not_move_batch_norms_statistics():
    """The statistics are those of the real words' outputs, however wide the batch is padded."""
    config = ModelConfig(embedding_dim=None, filter_sizes=(1,), num_filters=4, batch_norm=True)
    model = reference.network(config, dtype=torch.float64).train()
    model.batch_norm.reset_running_stats()
    headlines = [[3, 4, 5, 6, 7, 8, 9, 10], [11], []]
    _trace(model, *headlines)
    conv = model.convs[0]
    real = torch.stack([conv.weight[token, 0] + conv.bias for ids in headlines for token in ids]).detach()
    torch.testing.assert_close(model.batch_norm.running_mean, 0.1 * real.mean(0))
    torch.testing.assert_close(model.batch_norm.running_var, 0.9 + 0.1 * real.var(0))


def test_batch_norm_stands_before_the_max():
    """A filter whose scale is negative fires for the word whose output was lowest."""
    config = ModelConfig(embedding_dim=None, filter_sizes=(1,), num_filters=1, activation="none", batch_norm=True)
    model = reference.network(config)
    with torch.no_grad():
        model.batch_norm.weight.fill_(-1)
        model.convs[0].weight[[3, 4, 5], 0, 0] = torch.tensor([1.0, -2.0, 0.5])
    assert _trace(model, [3, 4, 5]).winners.tolist() == [[1]]


# Regularisation and the linear layers.


@pytest.mark.parametrize("name", ["dropout", "embedding_dropout"])
def test_dropout_acts_while_training_and_never_after(name):
    model = reference.network(ModelConfig(embedding_dim=8, num_filters=8, **{name: 0.5}))
    assert torch.equal(_trace(model, [3, 4]).logits, _trace(model, [3, 4]).logits)
    model.train()
    assert not torch.equal(_trace(model, [3, 4]).logits, _trace(model, [3, 4]).logits)


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_centring_the_output_changes_no_probability(config, ids, seed):
    model = reference.network(config, seed)
    before = _trace(model, ids).logits.softmax(1)
    model.center_output()
    after = _trace(model, ids).logits
    torch.testing.assert_close(after.softmax(1), before, rtol=0, atol=1e-6)
    torch.testing.assert_close(after.sum(1), torch.zeros(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(model.output.weight.sum(0), torch.zeros_like(model.output.weight[0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(model.output.bias.sum(), torch.zeros(()), rtol=0, atol=1e-6)


@few
@given(reference.configs, reference.headlines, reference.seeds)
def test_output_map_takes_pooled_values_to_the_logits(config, ids, seed):
    model = reference.network(config, seed, torch.float64)
    trace, (weight, bias) = _trace(model, ids), model.output_map()
    torch.testing.assert_close(trace.logits[0], weight @ trace.pooled[0] + bias)
