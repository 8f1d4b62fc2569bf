"""The folded network against the plain one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from textcnn import inference
from textcnn.batches import HeadlineDataset
from textcnn.inference import predict_logits
from textcnn.model import TextCNN

few = settings(deadline=None, max_examples=60)


def plain(model: TextCNN, headlines: list[list[int]]) -> torch.Tensor:
    """Each headline alone through the network."""
    with torch.no_grad():
        rows = [model(torch.tensor([ids or [0]]), torch.tensor([len(ids)])) for ids in headlines]
    return torch.cat(rows)


@few
@given(reference.configs, st.lists(reference.headlines, min_size=1, max_size=12), reference.seeds)
def test_the_folded_network_gives_the_logits_of_the_plain_one(config, headlines, seed):
    model = reference.network(config, seed, torch.float64)
    dataset = HeadlineDataset([np.array(ids, dtype=np.int64) for ids in headlines])
    torch.testing.assert_close(predict_logits(model, dataset), plain(model, headlines), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("max_tokens", [1, 7, 10_000])
def test_the_size_of_a_batch_changes_nothing(monkeypatch, small_default, sample, max_tokens):
    dataset = HeadlineDataset.from_flat(*small_default.tokenizer.encode(sample.titles[:60]))
    expected = predict_logits(small_default.model, dataset)
    monkeypatch.setattr(inference, "_MAX_TOKENS", max_tokens)
    torch.testing.assert_close(predict_logits(small_default.model, dataset), expected, rtol=1e-5, atol=1e-5)


def test_no_headline_has_no_logits(small_default):
    assert predict_logits(small_default.model, HeadlineDataset([])).shape == (0, 4)


def test_an_empty_headline_gets_the_logits_of_nothing(small_default):
    logits = predict_logits(small_default.model, HeadlineDataset([np.array([], dtype=np.int64)]))
    torch.testing.assert_close(logits[0], small_default.model.output.bias)


def test_weights_stay_as_they_are(small_lesson):
    before = {name: tensor.clone() for name, tensor in small_lesson.model.state_dict().items()}
    predict_logits(small_lesson.model, HeadlineDataset([np.array([2, 3, 4])]))
    for name, tensor in small_lesson.model.state_dict().items():
        assert torch.equal(tensor, before[name])
