"""A fine-tuned transformer on the same rows as one seed of accuracy.py: what a hundred times the cost buys.

    python benchmarks/transformer.py --data train.csv --model FOLDER [--seed 1] [--epochs 2]

FOLDER holds sentence-transformers/all-MiniLM-L6-v2. All its weights are trained, with a linear layer on the mean of its
last states (AdamW, 5e-5 after a tenth of warm-up, then linearly to zero, batch 32, batches by length). It needs the
packages of requirements-bench.txt.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from common import RESULTS, write
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, get_linear_schedule_with_warmup

from textcnn import metrics, sources
from textcnn.cleaning import clean
from textcnn.pipeline import select
from textcnn.splits import split
from textcnn.text import LabelEncoder


class Classifier(nn.Module):
    """The encoder, the mean of its last states, a linear layer."""

    def __init__(self, folder: Path, num_classes: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder)
        self.output = nn.Linear(self.encoder.config.hidden_size, num_classes)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.output(F.dropout(mean, 0.1, self.training))


def main() -> None:
    """Train, measure, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--times", action="store_true", help="measure the times of prediction anew, without training")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    data = sources.read_csv(options.data)
    parts = split(data.titles, data.labels, seed=options.seed)
    train, test = select(data, parts.train), select(data, parts.test)
    encoder = LabelEncoder.fit(train.labels)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = Classifier(options.model, len(encoder))

    if options.times:
        again = json.loads((RESULTS / "transformer.json").read_text(encoding="utf-8"))
        del again["machine"]
        write("transformer", again | times(model, tokenizer, test.titles))
        return
    started = time.perf_counter()
    fit(model, encode(tokenizer, train.titles), torch.from_numpy(encoder.encode(train.labels)), options.epochs)
    train_s = time.perf_counter() - started
    logits = predict(model, encode(tokenizer, test.titles))
    figures = metrics.evaluate(encoder.encode(test.labels), torch.softmax(logits, 1).numpy(), encoder.classes)
    write(
        "transformer",
        {
            "model": "all-MiniLM-L6-v2, fine-tuned",
            "seed": options.seed,
            "epochs": options.epochs,
            "rows": {"sha256": data.sha256, "train": len(train), "test": len(test)},
            **{name: figures.overall[name] for name in ("f1", "macro_f1", "accuracy", "log_loss")},
            "expected_calibration_error": figures.overall["expected_calibration_error"],
            "train_s": train_s,
            **times(model, tokenizer, test.titles),
            "size_mb": sum(parameter.nbytes for parameter in model.parameters()) / 1e6,
        },
    )


def encode(tokenizer: AutoTokenizer, titles: list[str]) -> list[list[int]]:
    """Return piece indices; the same clean-up as for textcnn."""
    return tokenizer([clean(title) for title in titles], truncation=True, max_length=48)["input_ids"]


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return indices and mask (batch, pieces)."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1.0] * len(row) + [0.0] * (width - len(row)) for row in rows])
    return ids, mask


def fit(model: Classifier, rows: list[list[int]], targets: Tensor, epochs: int, batch_size: int = 32) -> None:
    """Train all weights."""
    lengths = np.array([len(row) for row in rows])
    steps = epochs * -(-len(rows) // batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    random = np.random.default_rng(0)
    model.train()
    for epoch in range(epochs):
        order = random.permutation(len(rows))
        windows = [order[i : i + batch_size * 32] for i in range(0, len(order), batch_size * 32)]
        order = np.concatenate([window[lengths[window].argsort(kind="stable")] for window in windows])
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        random.shuffle(batches)
        started = time.perf_counter()
        for step, batch in enumerate(batches):
            optimizer.zero_grad()
            F.cross_entropy(model(*padded([rows[i] for i in batch])), targets[batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % 100 == 0:
                print(f"epoch {epoch} step {step}/{len(batches)} {time.perf_counter() - started:.0f} s", flush=True)


@torch.inference_mode()
def predict(model: Classifier, rows: list[list[int]]) -> Tensor:
    """Return logits of all rows, batches by length."""
    model.eval()
    order = np.argsort([len(row) for row in rows], kind="stable")
    logits = torch.zeros(len(rows), model.output.out_features)
    for start in range(0, len(rows), 64):
        batch = order[start : start + 64]
        logits[batch] = model(*padded([rows[i] for i in batch]))
    return logits


def times(model: Classifier, tokenizer: AutoTokenizer, titles: list[str]) -> dict[str, float]:
    """Return microseconds from raw title to logits: the median of one alone, and of each of many."""
    seconds = []
    for title in titles[:200]:
        started = time.perf_counter()
        predict(model, encode(tokenizer, [title]))
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    predict(model, encode(tokenizer, titles))
    batch_us = (time.perf_counter() - started) / len(titles) * 1e6
    return {"single_us": float(np.median(seconds) * 1e6), "batch_us": batch_us}


if __name__ == "__main__":
    main()
