"""First embeddings from somebody's word vectors: the token table of a sentence-transformers or model2vec model.

A word's vector is the mean of the vectors of its pieces, reduced to the embedding's size by principal components.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from tokenizers import Tokenizer as Pieces

from textcnn.errors import DataError

__all__ = ["PINNED", "Vectors", "load_vectors"]

_WEIGHTS, _PIECES = "model.safetensors", "tokenizer.json"
_TABLES = ("embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight", "embeddings")
_DEVIATION = 0.3  # of the components of the first embeddings
_WAYS_OUT = "Give the folder of such a model with --vectors FOLDER, or do without with --vectors none."

# What the weights of a Hub model must hash to; one that is not named here is taken as it comes.
PINNED = {
    # Apache-2.0; Reimers and Gurevych (2019), https://aclanthology.org/D19-1410
    "sentence-transformers/all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


@dataclass(frozen=True)
class Vectors:
    """A table of vectors and the way from a word to its rows."""

    name: str  # the Hub id, or for a folder that is none of the pinned ones, the hash of its weights
    table: np.ndarray  # (pieces, dimensions) float32
    pieces: Pieces

    def of_words(self, words: Sequence[str], size: int) -> np.ndarray:
        """Return first embeddings: float32 (words, size), centred, of a common deviation.

        Args:
            words: as the tokenizer reads them; a word of which no piece is known gets zeros.
            size: components to keep, the first principal ones.

        Raises:
            DataError: the vectors have fewer components than `size`.
        """
        if size > self.table.shape[1]:
            raise DataError(
                f"The vectors {self.name} have {self.table.shape[1]} components: embedding_dim is {size}, "
                f"give at most {self.table.shape[1]} (--embedding-dim)."
            )
        encoded = self.pieces.encode_batch(list(words), add_special_tokens=False)
        means = np.zeros((len(words), self.table.shape[1]), dtype=np.float64)
        found = np.zeros(len(words), dtype=bool)
        for place, one in enumerate(encoded):
            if one.ids:
                means[place] = self.table[one.ids].mean(0)
                found[place] = True
        means[found] -= means[found].mean(0)
        # The axes of largest variance, signs fixed so that they do not depend on the linear algebra library.
        _, axes = np.linalg.eigh(means.T @ means)
        axes = axes[:, ::-1][:, :size]
        axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(size)])
        reduced = means @ axes
        scale = _DEVIATION / max(float(reduced[found].std()), 1e-12)
        return np.asarray(reduced * scale, dtype=np.float32)


def load_vectors(source: str | Path) -> Vectors:
    """Read the token table of a sentence-transformers or model2vec model.

    Args:
        source: a folder with `model.safetensors` and `tokenizer.json`, or a Hub id.

    Raises:
        DataError: they cannot be had, are not the pinned ones, or are no such model; the message names the ways out.
    """
    folder = Path(source)
    weights, pieces = (folder / _WEIGHTS, folder / _PIECES) if folder.is_dir() else _download(str(source))
    try:
        content = weights.read_bytes()
        arrays = load_arrays(content)
        table = next((arrays[name] for name in _TABLES if name in arrays), None)
        reader = Pieces.from_file(str(pieces))
    except (OSError, SafetensorError) as error:
        raise DataError(f"The vectors {source} cannot be read: {error}. {_WAYS_OUT}") from None
    except Exception as error:  # tokenizers raises the bare class
        raise DataError(f"{pieces.name} of the vectors {source} cannot be read: {error}. {_WAYS_OUT}") from None
    if table is None or table.ndim != 2:
        raise DataError(f"The vectors {source} hold none of the tables {', '.join(_TABLES)}. {_WAYS_OUT}")
    if len(table) < reader.get_vocab_size():
        raise DataError(
            f"The vectors {source} have {len(table)} rows for {reader.get_vocab_size()} pieces. {_WAYS_OUT}"
        )
    found = hashlib.sha256(content).hexdigest()
    wanted = None if folder.is_dir() else PINNED.get(str(source))
    if wanted is not None and found != wanted:
        raise DataError(f"{_WEIGHTS} of {source} has sha256 {found}, pinned is {wanted}. {_WAYS_OUT}")
    reader.no_padding()
    reader.no_truncation()
    name = next((name for name, sha256 in PINNED.items() if sha256 == found), f"sha256:{found}")
    return Vectors(name if folder.is_dir() else str(source), table.astype(np.float32), reader)


def _download(repo: str) -> tuple[Path, Path]:
    """Return the two files of a Hub model, from the cache where they are there."""
    from huggingface_hub import hf_hub_download  # heavy, and needed by this one way

    try:
        weights, pieces = (Path(hf_hub_download(repo, name, etag_timeout=10)) for name in (_WEIGHTS, _PIECES))
    except Exception as error:  # its HTTP client's errors share no base with the Hub's own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"The word vectors {repo} cannot be had from the Hub ({reason}). {_WAYS_OUT}") from None
    return weights, pieces
