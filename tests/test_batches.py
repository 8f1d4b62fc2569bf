"""Token arrays: batches as a naive loop would make them, every headline once, and the memory they take."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from textcnn import PRESETS
from textcnn.batches import HeadlineDataset, pad_sequences
from textcnn.text import Tokenizer

few = settings(deadline=None, max_examples=50)
headlines = st.lists(st.lists(st.integers(1, 2**31 - 1), max_size=9), min_size=1, max_size=12)


def _dataset(lists, targets=None):
    return HeadlineDataset([np.array(ids, dtype=np.int64) for ids in lists], targets)


def _padded(lists):
    width = max([1, *(len(ids) for ids in lists)])
    return [ids + [0] * (width - len(ids)) for ids in lists]


@few
@given(headlines, st.data())
def test_a_batch_is_what_a_naive_loop_makes(lists, data):
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), min_size=1, max_size=15))
    batch = _dataset(lists, np.arange(len(lists)) * 7).batch(torch.tensor(rows))
    chosen = [lists[row] for row in rows]
    assert batch.ids.tolist() == _padded(chosen)
    assert batch.lengths.tolist() == [len(ids) for ids in chosen]
    assert batch.targets.tolist() == [row * 7 for row in rows]
    assert batch.rows.tolist() == rows
    assert batch.ids.dtype == batch.lengths.dtype == batch.targets.dtype == torch.int64


def test_a_batch_without_targets_has_none():
    assert _dataset([[3]]).batch(torch.tensor([0])).targets is None


def test_empty_headlines_become_one_pad():
    batch = _dataset([[], [], [4, 5]]).batch(torch.tensor([1, 0]))
    assert batch.ids.tolist() == [[0], [0]]
    assert batch.lengths.tolist() == [0, 0]


def test_an_empty_headline_at_the_end_reads_nothing_of_its_neighbours():
    assert _dataset([[4, 5], []]).batch(torch.tensor([1, 0])).ids.tolist() == [[0, 0], [4, 5]]


def test_a_dataset_without_headlines_has_no_batches():
    dataset = _dataset([])
    assert len(dataset) == 0
    assert list(dataset.batches(4)) == []
    assert list(dataset.batches_by_length()) == []


def test_a_dataset_does_not_change_with_the_arrays_it_was_made_from():
    ids, targets = np.array([4, 5]), np.array([1])
    dataset = HeadlineDataset([ids], targets)
    ids[:] = 9
    assert dataset.batch(torch.tensor([0])).ids.tolist() == [[4, 5]]


def test_batches_in_order_cover_every_headline():
    batches = list(_dataset([[i + 1] for i in range(10)]).batches(4))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batches_with_a_generator_are_shuffled_anew_each_time():
    dataset, generator = _dataset([[i + 1] for i in range(30)]), torch.Generator().manual_seed(3)
    first, second = ([row for batch in dataset.batches(4, generator) for row in batch.rows.tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(30))
    assert list(range(30)) != first != second


@few
@given(headlines, st.integers(1, 40))
def test_batches_by_length_cover_every_headline_once_within_the_bound(lists, max_tokens):
    batches = list(_dataset(lists).batches_by_length(max_tokens))
    rows = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(len(lists)))
    assert all(batch.ids.numel() <= max_tokens or len(batch.rows) == 1 for batch in batches)
    lengths = [len(lists[row]) for row in rows]
    assert lengths == sorted(lengths)


@few
@given(headlines, st.integers(1, 40))
def test_batches_by_length_are_as_large_as_the_bound_allows(lists, max_tokens):
    batches = list(_dataset(lists).batches_by_length(max_tokens))
    for batch, following in itertools.pairwise(batches):
        wider = max(1, int(following.lengths[0]))
        assert (len(batch.rows) + 1) * wider > max_tokens


def test_one_very_long_headline_does_not_widen_the_others():
    batches = list(_dataset([[1] * 5, [2] * 20_000, [3] * 5]).batches_by_length())
    assert [batch.ids.shape for batch in batches] == [(2, 5), (1, 20_000)]


@few
@given(st.lists(st.lists(reference.words, max_size=9), min_size=1, max_size=8).filter(any))
def test_pad_sequences_is_the_lessons_over_one_hot_rows(lists):
    """One-hot rows of our padded indices are the lesson's padded one-hot rows, but for PAD, which is its zero row."""
    padded = pad_sequences([np.array(ids, dtype=np.int64) for ids in lists])
    one_hot = np.stack([reference.to_categorical(row, reference.VOCABULARY) for row in padded])
    one_hot[:, :, 0] = 0
    rows = [reference.to_categorical(ids, reference.VOCABULARY) for ids in lists]
    np.testing.assert_array_equal(one_hot, reference.pad_sequences(rows))


def test_pad_sequences_of_the_lessons_shapes():
    """Headlines of 6, 5 and 6 tokens become three rows of 6."""
    padded = pad_sequences([np.arange(2, 8), np.arange(2, 7), np.arange(2, 8)])
    assert padded.shape == (3, 6)
    assert padded[1].tolist() == [2, 3, 4, 5, 6, 0]


@pytest.mark.parametrize("preset", ["lesson", "default"])
def test_headlines_take_less_than_a_hundredth_of_one_hot_rows(preset, sample):
    """The lesson keeps 8 bytes for each token and each entry of the vocabulary."""
    tokenizer = Tokenizer.fit_on_texts(sample.titles, PRESETS[preset].text)
    sequences = tokenizer.texts_to_sequences(sample.titles)
    one_hot = reference.to_categorical(sequences[0], len(tokenizer)).nbytes / len(sequences[0])
    dataset = HeadlineDataset(sequences, np.zeros(len(sequences)))
    assert dataset.nbytes * 100 <= one_hot * sum(len(sequence) for sequence in sequences)


def test_nbytes_counts_tokens_places_and_targets():
    """Four tokens and a PAD of 4 bytes; a start, a length and a target of 8 bytes for each of two headlines."""
    assert _dataset([[1, 2, 3], [4]], np.array([0, 1])).nbytes == 5 * 4 + 2 * 3 * 8
    assert _dataset([[1, 2, 3], [4]]).nbytes == 5 * 4 + 2 * 2 * 8


def test_moving_to_a_device_keeps_the_batches():
    dataset = _dataset([[1, 2], [3]], np.array([1, 0]))
    assert dataset.to(torch.device("cpu")) is dataset
    assert dataset.batch(torch.tensor([1, 0])).ids.tolist() == [[3, 0], [1, 2]]
