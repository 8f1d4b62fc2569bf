"""Training: seeds, devices, order, early stopping, schedules, class weights, word dropout, refit, averages."""

import dataclasses
import logging
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from textcnn import PRESETS, ConfigError, DataError, training
from textcnn.batches import HeadlineDataset
from textcnn.config import ModelConfig, TrainConfig
from textcnn.inference import predict_logits
from textcnn.model import TextCNN
from textcnn.text import LabelEncoder, Tokenizer
from textcnn.training import Epoch, Fit, Trainer, drop_words, fit, pick_device, set_seeds

CPU = torch.device("cpu")
NUM_TOKENS, NUM_CLASSES = 30, 4
PLAIN = TrainConfig(epochs=4, batch_size=8, learning_rate=0.01, schedule="plateau")
BOTH = pytest.mark.parametrize("preset", ["default", "lesson"])


def _config(**overrides) -> TrainConfig:
    return TrainConfig(**{**vars(PLAIN), **overrides})


def _data(rows=40, shift=0, seed=0, kind=HeadlineDataset):
    """Headlines whose first word tells the class; with a `shift`, all classes are wrong."""
    draw = np.random.default_rng(seed)
    sequences = [draw.integers(2, NUM_TOKENS, draw.integers(1, 8)) for _ in range(rows)]
    return kind(sequences, np.array([(sequence[0] + shift) % NUM_CLASSES for sequence in sequences]))


def _trainer(config=PLAIN, weights=None, kind=Trainer, **settings):
    torch.manual_seed(1)
    model = TextCNN(ModelConfig(**{"embedding_dim": 8, "num_filters": 8, **settings}), NUM_TOKENS, NUM_CLASSES)
    return kind(model, config, torch.ones(NUM_CLASSES) if weights is None else weights, CPU)


def _bytes(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


class _Scripted(Trainer):
    """A trainer whose validation losses are given."""

    losses: tuple[float, ...] = ()

    def eval_step(self, dataset):
        self.asked = getattr(self, "asked", 0) + 1
        return self.losses[self.asked - 1], 0.5


def _scripted(losses, config):
    trainer = _trainer(config, kind=_Scripted)
    trainer.losses = losses
    return trainer


# Seeds and devices.


def _draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002 - the one that is seeded


def test_set_seeds_repeats_every_generator():
    set_seeds(7)
    first = _draws()
    set_seeds(7)
    assert _draws() == first
    set_seeds(8)
    assert all(now != then for now, then in zip(_draws(), first, strict=True))


def test_set_seeds_takes_seeds_larger_than_numpys():
    set_seeds(2**40)


@BOTH
def test_one_seed_gives_the_same_bytes_twice_and_another_seed_others(preset, sample):
    def weights(seed):
        config = PRESETS[preset].replace(epochs=2, batch_size=64, seed=seed, vectors=None)
        held_out = sample.titles[200:260], sample.labels[200:260]
        random.random(), torch.rand(3)  # what was drawn before must not matter
        return _bytes(fit(sample.titles[:200], sample.labels[:200], config, validation=held_out).model)

    first = weights(11)
    assert weights(11) == first
    assert weights(12) != first


def test_auto_takes_the_first_device_that_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device() == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "tpu", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"device is '{name}': on this machine there is cpu, or auto"):
        pick_device(name)


# The order of the headlines.


class _Watched(HeadlineDataset):
    """A dataset that remembers the rows of each batch."""

    def batches(self, batch_size, generator=None):
        for batch in super().batches(batch_size, generator):
            self.seen = [*getattr(self, "seen", []), batch.rows.tolist()]
            yield batch


def test_each_epoch_reads_each_headline_once_in_another_order():
    data = _data(rows=40, kind=_Watched)
    _trainer(_config(epochs=3)).train(data)
    assert [len(rows) for rows in data.seen] == [8] * 15
    epochs = [[row for rows in data.seen[start : start + 5] for row in rows] for start in (0, 5, 10)]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
    assert list(range(40)) not in epochs
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_seed_decides_the_order():
    def order(seed):
        data = _data(kind=_Watched)
        _trainer(_config(epochs=1, seed=seed)).train(data)
        return data.seen

    assert order(3) == order(3) != order(4)


def test_the_last_batch_may_be_small():
    data = _data(rows=17, kind=_Watched)
    _trainer(_config(epochs=1)).train(data)
    assert sorted(len(rows) for rows in data.seen) == [1, 8, 8]


def test_training_with_batch_norm_survives_a_last_batch_of_one_word():
    """A user saw torch's `Expected more than 1 value per channel` where the rows left one short title over."""
    data = HeadlineDataset([np.array([2 + row]) for row in range(9)], np.arange(9) % NUM_CLASSES)
    history = _trainer(_config(epochs=1), batch_norm=True).train(data)
    assert math.isfinite(history[0].train_loss)


# What training leaves behind.


def test_training_learns():
    trainer, data = _trainer(_config(epochs=30)), _data()
    history = trainer.train(data)
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert (trainer.predict_step(data).argmax(1) == data.targets.numpy()).mean() > 0.9


@pytest.mark.parametrize("weight_average", [None, 0.9])
def test_the_best_weights_are_kept_as_a_copy(weight_average):
    """The validation classes are wrong, so each epoch makes it worse: what comes back is the first epoch's weights.

    The lesson keeps a reference, and would give back the last.
    """
    validation = _data(shift=1, seed=5)
    config = _config(epochs=5, learning_rate=0.03, weight_average=weight_average)
    trainer = _trainer(config)
    history = trainer.train(_data(), validation)
    losses = [epoch.val_loss for epoch in history]
    assert losses[-1] > 1.1 * losses[0] == 1.1 * min(losses)
    assert trainer.eval_step(validation)[0] == pytest.approx(losses[0], rel=1e-6)
    once = _trainer(dataclasses.replace(config, epochs=1))
    once.train(_data())
    assert _bytes(trainer.result) == _bytes(once.result)


def test_without_validation_the_last_weights_stay():
    trainer, twin = _trainer(), _trainer()
    history = trainer.train(_data())
    assert [epoch.val_loss for epoch in history] == [None] * 4
    assert [epoch.val_f1 for epoch in history] == [None] * 4
    generator = torch.Generator().manual_seed(PLAIN.seed)
    bar = training.tqdm(disable=True)
    torch.manual_seed(0)
    for _ in range(4):
        twin.train_step(_data().batches(8, generator), torch.zeros(NUM_TOKENS, dtype=torch.bool), bar)
    assert _bytes(trainer.result) == _bytes(twin.result)


@pytest.mark.parametrize(
    ("patience", "losses", "epochs"),
    [
        (2, (5, 6, 7, 1), 3),  # two epochs without a better loss
        (2, (5, 6, 4, 5, 3, 4, 9, 1), 7),  # a better one starts the count again
        (1, (5, 4, 4, 1), 3),  # equal is not better
        (None, (5, 6, 7, 8, 9), 5),  # never
    ],
)
def test_early_stopping_waits_for_patience(patience, losses, epochs):
    trainer = _scripted(losses, _config(epochs=len(losses), patience=patience))
    assert len(trainer.train(_data(), _data())) == epochs


def test_early_stopping_says_so(caplog):
    with caplog.at_level(logging.INFO, logger="textcnn.training"):
        _scripted((5, 6, 7), _config(epochs=3, patience=1)).train(_data(), _data())
    assert caplog.messages[-1] == "Stopping early: 1 epochs without a better validation loss."


def test_one_line_of_log_an_epoch(caplog):
    with caplog.at_level(logging.INFO, logger="textcnn.training"):
        _trainer().train(_data(), _data())
    assert len(caplog.messages) == 4
    assert caplog.messages[1].startswith("Epoch 2/4 | train_loss ")
    for part in ("val_loss", "val_f1", "lr 1.0e-02", "headlines/s"):
        assert part in caplog.messages[1]


# Schedules.


def test_plateau_takes_a_tenth_once_the_loss_no_longer_falls():
    """As in the lesson, `ReduceLROnPlateau(factor=0.1, patience=3)`: three bad epochs are borne, the fourth is not."""
    losses = (5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4)
    history = _scripted(losses, _config(epochs=11)).train(_data(), _data())
    rates = [epoch.learning_rate for epoch in history]
    assert rates == pytest.approx([0.01] * 6 + [0.001] * 4 + [0.0001])


def test_plateau_keeps_its_rate_while_the_loss_falls():
    history = _scripted((5, 4, 3, 2, 1, 0.5), _config(epochs=6)).train(_data(), _data())
    assert {epoch.learning_rate for epoch in history} == {0.01}


def _rates(trainer, data):
    rates = []
    trainer.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    history = trainer.train(data)
    return rates, history


def test_one_cycle_rises_to_the_learning_rate_and_ends_near_nothing():
    rates, history = _rates(_trainer(_config(schedule="one_cycle", epochs=10, learning_rate=0.01)), _data())
    top = int(np.argmax(rates))
    assert len(rates) == 50
    assert rates[top] == pytest.approx(0.01, rel=0.02)
    assert rates[0] < 0.001
    assert 0 < top < 25
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-5
    assert history[-1].learning_rate < 1e-4


@pytest.mark.parametrize("rows", [8, 9])
def test_one_cycle_takes_a_training_of_one_or_two_steps(rows):
    """Its few steps still learn: a schedule of one step would start at its end, with a rate of next to nothing."""
    rates, _ = _rates(_trainer(_config(schedule="one_cycle", epochs=1, learning_rate=0.01)), _data(rows=rows))
    assert len(rates) == -(-rows // 8)
    assert 0.001 < max(rates) <= 0.01


# The loss.


def test_fit_weighs_each_class_by_one_over_its_count(monkeypatch):
    seen = []

    class Watched(Trainer):
        def __init__(self, model, config, class_weights, device):
            seen.append(class_weights)
            super().__init__(model, config, class_weights, device)

    monkeypatch.setattr(training, "Trainer", Watched)
    titles, labels = ["oil up", "oil", "a match", "!", "match"], ["B", "B", "S", "S", "B"]
    fit(titles, labels, TINY)
    assert seen[0].tolist() == pytest.approx([1 / 3, 1])  # the row without a word does not count


def _weighted(logits, targets, weights):
    """Weighted cross-entropy by hand."""
    losses = [-float(row.log_softmax(0)[target]) for row, target in zip(logits, targets, strict=True)]
    chosen = [float(weights[target]) for target in targets]
    return sum(w * loss for w, loss in zip(chosen, losses, strict=True)) / sum(chosen)


WEIGHTS = torch.tensor([1.0, 5.0, 0.1, 2.0])


def test_class_weights_enter_the_training_loss():
    trainer, data = _trainer(weights=WEIGHTS), _data(rows=20)
    expected = _weighted(predict_logits(trainer.model, data), data.targets, WEIGHTS)
    batches = iter([data.batch(torch.arange(20))])
    loss = trainer.train_step(batches, torch.zeros(NUM_TOKENS, dtype=torch.bool), training.tqdm(disable=True))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_validation_loss_is_weighted_and_never_smoothed():
    trainer, data = _trainer(_config(label_smoothing=0.5), weights=WEIGHTS), _data(rows=20)
    loss, f1 = trainer.eval_step(data)
    logits = predict_logits(trainer.model, data)
    assert loss == pytest.approx(_weighted(logits, data.targets, WEIGHTS), rel=1e-5)
    assert 0 <= f1 <= 1


def test_label_smoothing_enters_the_training_loss():
    rare, bar = torch.zeros(NUM_TOKENS, dtype=torch.bool), training.tqdm(disable=True)
    data = _data(rows=20)
    trainer = _trainer(_config(label_smoothing=0.3))
    logits = predict_logits(trainer.model, data)
    target = 0.7 * F.one_hot(data.targets, NUM_CLASSES) + 0.3 / NUM_CLASSES
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    loss = trainer.train_step(iter([data.batch(torch.arange(20))]), rare, bar)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_the_training_loss_of_an_epoch_is_the_mean_over_its_headlines():
    """A last batch of one headline counts as one headline, not as a whole batch."""
    trainer, data = _trainer(_config(learning_rate=1e-12)), _data(rows=9)
    (epoch,) = trainer.train(data, replay=[Epoch(1, 0, None, None, 1e-12, 0)])
    logits = predict_logits(trainer.model, data)
    assert epoch.train_loss == pytest.approx(float(F.cross_entropy(logits, data.targets)), rel=1e-5)


# Word dropout.


def test_word_dropout_turns_words_into_unknown_ones_and_never_touches_pad():
    ids = torch.randint(0, NUM_TOKENS, (200, 50))
    rare = torch.arange(NUM_TOKENS) >= 20
    dropped = drop_words(ids, rare, _config(word_dropout=0.1, rare_word_dropout=0.4))
    changed = dropped != ids
    assert (dropped[changed] == 1).all()
    assert (dropped[ids == 0] == 0).all()
    assert float(changed[ids >= 20].float().mean()) == pytest.approx(0.4, abs=0.05)
    assert float(changed[(ids > 1) & (ids < 20)].float().mean()) == pytest.approx(0.1, abs=0.03)


def test_rare_words_are_dropped_at_least_as_often_as_others():
    ids = torch.full((100, 100), 25)
    rare = torch.arange(NUM_TOKENS) >= 20
    dropped = drop_words(ids, rare, _config(word_dropout=0.5, rare_word_dropout=0.1))
    assert float((dropped == 1).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_without_word_dropout_nothing_changes():
    ids = torch.randint(0, NUM_TOKENS, (20, 5))
    assert torch.equal(drop_words(ids, torch.ones(NUM_TOKENS, dtype=torch.bool), _config()), ids)


def test_rare_words_are_those_that_stand_once_in_the_training_rows(monkeypatch):
    seen = []
    monkeypatch.setattr(training, "drop_words", lambda ids, rare, config: seen.append(rare) or ids)
    data = HeadlineDataset([np.array([2, 3, 3]), np.array([4, 2, 5])], np.array([0, 1]))
    _trainer(_config(epochs=1)).train(data)
    assert seen[0][2:6].tolist() == [False, False, True, True]


def test_word_dropout_is_off_outside_training():
    trainer, data = _trainer(_config(word_dropout=0.9)), _data()
    np.testing.assert_array_equal(trainer.predict_step(data), trainer.predict_step(data))


# R-Drop.


def _losses(consistency, **settings):
    trainer, data = _trainer(_config(consistency=consistency), **settings), _data()
    trainer.model.train()
    batch = data.batch(torch.arange(8))
    rare = torch.zeros(NUM_TOKENS, dtype=torch.bool)
    torch.manual_seed(3)
    return trainer._loss(batch, rare).item(), trainer, batch


def test_two_passes_without_dropout_say_the_same():
    """Nothing is apart, so the loss is that of one pass, whatever the weight."""
    assert _losses(5.0)[0] == pytest.approx(_losses(0.0)[0], rel=1e-6)


def test_consistency_adds_the_mean_of_both_divergences():
    """By hand: the two halves of a doubled batch, each with its own dropout."""
    (with_it, trainer, batch), (without, *_) = _losses(2.0, dropout=0.5), _losses(1e-9, dropout=0.5)
    torch.manual_seed(3)
    logits = trainer.model(batch.ids.repeat(2, 1), batch.lengths.repeat(2)).detach()
    one, other = F.log_softmax(logits[:8], 1), F.log_softmax(logits[8:], 1)
    there = F.kl_div(other, one, log_target=True, reduction="batchmean")
    back = F.kl_div(one, other, log_target=True, reduction="batchmean")
    assert with_it - without == pytest.approx(float(2 * (there + back) / 2), rel=1e-4)
    assert with_it > without


# The refit.


def test_a_refit_repeats_the_epochs_and_learning_rates_of_plateau():
    losses = (5, 4, 4, 4, 4, 4, 4, 9)
    first = _scripted(losses, _config(epochs=8, patience=6)).train(_data(), _data())
    assert [epoch.learning_rate for epoch in first] == pytest.approx([0.01] * 6 + [0.001] * 2)
    rates, again = _rates_of_replay(_config(epochs=8, patience=6), first[:7])
    assert [epoch.learning_rate for epoch in again] == [epoch.learning_rate for epoch in first[:7]]
    assert rates == pytest.approx([0.01] * 6 * 8 + [0.001] * 8)  # 60 rows: 8 steps an epoch


def test_a_refit_with_one_cycle_ends_as_the_first_run_did():
    config = _config(schedule="one_cycle", epochs=5)
    first = _trainer(config).train(_data(), _data())
    rates, again = _rates_of_replay(config, first[:3])
    assert len(again) == 3
    assert len(rates) == 24
    # The same share of the same curve, sampled at other steps.
    assert [e.learning_rate for e in again] == pytest.approx([e.learning_rate for e in first[:3]], rel=0.1)


def _rates_of_replay(config, replay):
    trainer, rates = _trainer(config), []
    trainer.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    return rates, trainer.train(_data(rows=60), replay=replay)


# Averages and predictions.


def test_the_averaged_weights_are_a_moving_average_that_starts_short():
    trainer = _trainer(_config(epochs=3, weight_average=0.5))
    steps, update = [], trainer.average.update_parameters

    def watched(model):
        steps.append([p.detach().clone() for p in model.parameters()])
        update(model)

    trainer.average.update_parameters = watched
    trainer.train(_data())
    expected = steps[0]
    for step, current in enumerate(steps[1:], start=1):
        keep = min(0.5, (1 + step) / (10 + step))
        expected = [keep * old + (1 - keep) * new for old, new in zip(expected, current, strict=True)]
    assert len(steps) == 15
    for parameter, average in zip(trainer.result.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), average)
    assert trainer.result is not trainer.model
    assert not torch.equal(trainer.result.output.weight, trainer.model.output.weight)


def test_averages_of_batch_norm_count_its_batches():
    trainer = _trainer(_config(epochs=2, weight_average=0.9), batch_norm=True)
    trainer.train(_data())
    assert int(trainer.result.batch_norm.num_batches_tracked) == 10


def test_without_an_average_the_trained_network_is_the_result():
    trainer = _trainer()
    assert trainer.result is trainer.model


@pytest.mark.parametrize("rows", [1, 20])
def test_probabilities_of_each_headline_sum_to_one(rows):
    """The lesson's softmax names no axis; over the wrong one a single headline would get all ones."""
    trainer, data = _trainer(), _data(rows=rows)
    probabilities = trainer.predict_step(data)
    assert probabilities.shape == (rows, NUM_CLASSES)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (probabilities < 1).all()


def test_logits_come_in_the_order_of_the_headlines():
    trainer, data = _trainer(), _data(rows=30)
    together = predict_logits(trainer.model, data)
    for row in range(30):
        batch = data.batch(torch.tensor([row]))
        torch.testing.assert_close(trainer.model(batch.ids, batch.lengths)[0], together[row], rtol=0, atol=1e-6)
    assert not trainer.model.training


# A whole fit.

TITLES = ["oil prices up", "?!", "coach wins match", "", "oil falls", "the match is lost"]
LABELS = ["Business", "World", "Sports", "Sports", "Business", "Sports"]
TINY = PRESETS["default"].replace(epochs=1, vectors=None)


def test_fit_leaves_out_rows_without_words_and_counts_them():
    fitted = fit(TITLES, LABELS, TINY)
    assert (fitted.rows, fitted.no_words) == (4, 2)
    assert fitted.label_encoder.classes == ["Business", "Sports"]


def test_fit_needs_two_classes():
    with pytest.raises(DataError, match=r"have the classes \['Business'\]: at least two are needed"):
        fit(["oil", "gas", "?!"], ["Business", "Business", "Sports"], TINY)


def test_fit_needs_words():
    with pytest.raises(DataError, match="No headline has a word"):
        fit(["?!", ""], ["Business", "Sports"], TINY)


def test_fit_refuses_validation_rows_of_a_class_it_never_saw():
    with pytest.raises(DataError, match=r"Unknown classes \['World'\]: known are \['Business', 'Sports'\]"):
        fit(TITLES, LABELS, TINY, validation=(["war"], ["World"]))


def test_fit_takes_its_vocabulary_from_the_training_rows_alone():
    fitted = fit(TITLES, LABELS, TINY, validation=(["zebra market"], ["Sports"]))
    assert "oil" in fitted.tokenizer.token_to_index
    assert "zebra" not in fitted.tokenizer.token_to_index


@BOTH
def test_fit_gives_a_centred_network_ready_to_predict(preset):
    model = fit(TITLES, LABELS, PRESETS[preset].replace(epochs=2, vectors=None)).model
    assert not model.training
    torch.testing.assert_close(model.output.weight.sum(0), torch.zeros_like(model.output.weight[0]), rtol=0, atol=1e-6)
    assert all((weight[0] == 0).all() for weight in model.token_weights)


def test_fit_with_validation_reports_each_epoch_and_names_the_best(sample):
    config = PRESETS["lesson"].replace(epochs=4, batch_size=16)
    fitted = fit(
        sample.titles[:200], sample.labels[:200], config, validation=(sample.titles[200:], sample.labels[200:])
    )
    losses = [epoch.val_loss for epoch in fitted.history]
    assert [epoch.epoch for epoch in fitted.history] == [1, 2, 3, 4]
    assert fitted.best_epoch == 1 + losses.index(min(losses))
    assert list(fitted.history[0].to_dict()) == [
        *("epoch", "train_loss", "val_loss", "val_f1", "learning_rate", "seconds"),
    ]


def _fit_of(*losses):
    history = [Epoch(epoch, 1.0, loss, loss, 0.1, 0.0) for epoch, loss in enumerate(losses, start=1)]
    return Fit(Tokenizer({"<PAD>": 0, "<UNK>": 1}), LabelEncoder({"A": 0, "B": 1}), None, history, 1, 0)


def test_the_best_epoch_is_the_first_with_the_least_validation_loss():
    assert _fit_of(3.0, 1.0, 2.0, 1.0).best_epoch == 2


def test_without_validation_the_best_epoch_is_the_last():
    assert _fit_of(None, None, None).best_epoch == 3
