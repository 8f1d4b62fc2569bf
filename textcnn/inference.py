"""From token indices to logits without waste: the network folded into one table row a distinct word.

Embedding and convolution are linear, so what a word adds to a filter at an offset is one number, computed once for each
distinct word of a call. A headline is then a sum of rows and a max. Headlines of one length go together: no padding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from textcnn.batches import HeadlineDataset
from textcnn.model import TextCNN, same_padding

__all__ = ["predict_logits"]

_MAX_TOKENS = 2_048  # of a batch: what it touches stays in the processor's cache


@torch.inference_mode()
def predict_logits(model: TextCNN, dataset: HeadlineDataset) -> Tensor:
    """Return logits (headlines, classes) on the CPU, in the dataset's order; the network is left in evaluation mode.

    Args:
        model: any network; on the device of the dataset.
        dataset: headlines; an empty one gets the logits of pooled values of zero.
    """
    model.eval()
    device = dataset.flat.device
    distinct, places = torch.unique(dataset.flat[:-1], return_inverse=True)
    scale, shift = model.filter_affine()
    tables = _tables(model, distinct, scale)
    logits = torch.empty(len(dataset), model.output.out_features, dtype=shift.dtype, device=device)
    logits[dataset.lengths == 0] = model.head(torch.zeros(1, len(shift), dtype=shift.dtype, device=device))
    for rows, length in dataset.rows_by_length():
        positions = torch.arange(length, device=device)
        for part in torch.split(rows, max(1, _MAX_TOKENS // length)):
            tokens = places[dataset.starts[part].to(device)[:, None] + positions]
            highest = torch.cat([_highest(table, tokens) for table in tables], dim=1).add_(shift)
            logits[part] = model.head(highest.relu_() if model.config.activation == "relu" else highest)
    return logits.cpu()


def _tables(model: TextCNN, distinct: Tensor, scale: Tensor) -> list[list[Tensor]]:
    """Return for each filter size and offset what each distinct token adds there: (distinct, filters) each."""
    factors = torch.split(scale, model.config.num_filters)
    every = zip(model.offset_terms(distinct.long()[None]), factors, strict=True)
    return [[(terms[0, :, o] * factor).contiguous() for o in range(terms.shape[2])] for terms, factor in every]


def _highest(tables: list[Tensor], tokens: Tensor) -> Tensor:
    """Return the largest output of each filter over the windows of each headline: (headlines, filters).

    Args:
        tables: for each offset of the window (distinct, filters).
        tokens: rows of the tables (headlines, tokens), without padding.
    """
    length = tokens.shape[1]
    left = same_padding(length, len(tables))[0]
    totals = F.embedding(tokens, tables[left])  # the offset that every window has: its own token
    for offset, table in enumerate(tables):
        ahead = offset - left  # window t takes the token t + ahead, if there is one
        if 0 < ahead < length:
            totals[:, :-ahead] += F.embedding(tokens[:, ahead:], table)
        elif -length < ahead < 0:
            totals[:, -ahead:] += F.embedding(tokens[:, :ahead], table)
    return totals.amax(1)
