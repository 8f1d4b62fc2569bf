"""From a headline as typed to token indices, and from class names to class indices."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Self

import numpy as np
from nltk.tokenize import RegexpTokenizer

from textcnn.cleaning import STOP_WORDS, Span, clean, clean_with_spans
from textcnn.config import TextConfig, check_types, read_json, write_json
from textcnn.errors import ArtifactError, ConfigError, DataError

__all__ = ["PAD", "UNK", "LabelEncoder", "Token", "Tokenizer", "doubt", "shorten"]

PAD, UNK = "<PAD>", "<UNK>"  # at indices 0 and 1 of every vocabulary

# A word is a run of letters, their marks and digits, in any script; `\w` would cut Devanagari at its vowel signs.
_WORDS = {
    "default": RegexpTokenizer(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*"),
    "lesson": RegexpTokenizer(r"[^ ]+"),
}


# The same words where all letters are of ASCII: every other sign becomes a space, a line end stays.
_ASCII_WORDS = "".join(chr(code) if chr(code).isalnum() or chr(code) == "\n" else " " for code in range(128))
_SUSPECT = re.compile(r"[&;<]")  # no rule of the cleaning "default" matches a text without one of these
_BLOCK = 1_024  # texts encoded at once


@dataclass(frozen=True)
class Token:
    """One token of a headline and the place where it was typed: `headline[start:end]`."""

    text: str  # as the model reads it, for example in lower case
    start: int  # in characters of the headline as typed
    end: int
    index: int  # in the vocabulary
    known: bool  # whether the vocabulary has it

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return {"text": self.text, "start": self.start, "end": self.end, "index": self.index, "known": self.known}


def doubt(tokens: Sequence[Token]) -> str | None:
    """Return a sentence of doubt where a model had next to nothing to read, else None.

    >>> doubt([])
    'There is no word to read in this, so the answer says nothing about it.'
    """
    if not tokens:
        return "There is no word to read in this, so the answer says nothing about it."
    if sum(not token.known for token in tokens) > len(tokens) / 2:
        return "The model does not know most of these words: the answer is little more than a guess."
    return None


def shorten(text: str, most: int = 30) -> str:
    """Return the text, cut to `most` characters where it is longer.

    >>> shorten("antidisestablishmentarianism", 13)
    'antidisestab…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(frozen=True)
class Tokenizer:
    """The way from a headline as typed to token indices: cleaning, splitting, vocabulary.

    Unlike the lesson's, it cleans, it breaks ties of frequency by the alphabet, it saves everything it was built
    with, and it gives no token (not one unknown) for an empty text.
    """

    token_to_index: Mapping[str, int]
    cleaning: str = "default"
    stop_words: tuple[str, ...] = ()
    char_level: bool = False
    num_tokens: int | None = None  # the limit it was fitted with, PAD and UNK included
    min_token_freq: int = 0  # how often the rarest kept token stood in the training texts

    def __post_init__(self) -> None:
        tokens = list(self.token_to_index)
        if tokens[:2] != [PAD, UNK] or list(self.token_to_index.values()) != list(range(len(tokens))):
            raise DataError(
                f"The vocabulary starts with {list(self.token_to_index.items())[:2]}: "
                f"{PAD} at 0, {UNK} at 1 and every further index once, in order, are expected."
            )

    @classmethod
    def fit_on_texts(cls, texts: Iterable[str], config: TextConfig) -> Self:
        """Build the vocabulary: the most frequent tokens of `texts` first, equals by the alphabet.

        Args:
            texts: headlines as typed.
            config: cleaning, level and limits.

        Raises:
            DataError: no text has a token.
        """
        stop_words = STOP_WORDS if config.cleaning == "lesson" else ()
        empty = cls({PAD: 0, UNK: 1}, config.cleaning, stop_words, config.char_level, config.num_tokens)
        counts = Counter(token for text in texts for token in empty.tokens(text))
        limit = None if config.num_tokens is None else config.num_tokens - 2
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
        kept = [(token, count) for token, count in ranked if count >= config.min_count and token not in (PAD, UNK)]
        if not kept:
            raise DataError(
                f"No headline has a word that occurs {config.min_count} times or more after cleaning "
                f"({config.cleaning}): give headlines with words, or lower min_count."
            )
        vocabulary = [PAD, UNK, *(token for token, _ in kept)]
        return cls(
            {token: index for index, token in enumerate(vocabulary)},
            config.cleaning,
            stop_words,
            config.char_level,
            config.num_tokens,
            min_token_freq=kept[-1][1],
        )

    def __len__(self) -> int:
        """Return the size of the vocabulary, PAD and UNK included."""
        return len(self.token_to_index)

    def tokens(self, text: str) -> list[str]:
        r"""Return the tokens of a headline as typed, in order.

        >>> Tokenizer({PAD: 0, UNK: 1}).tokens("Oil hits \\$50, won #39;t fall")
        ['oil', 'hits', '50', 'won', 't', 'fall']
        """
        cleaned = clean(text, self.cleaning, self.stop_words)
        return list(cleaned) if self.char_level else _WORDS[self.cleaning].tokenize(cleaned)

    def tokenize(self, text: str) -> list[Token]:
        """Return the tokens of a headline with their indices and the places where they were typed."""
        cleaned, spans = clean_with_spans(text, self.cleaning, self.stop_words)
        if self.char_level:
            places: Iterable[Span] = ((i, i + 1) for i in range(len(cleaned)))
        else:
            places = _WORDS[self.cleaning].span_tokenize(cleaned)
        unknown = self.token_to_index[UNK]
        found = []
        for first, after in places:
            word = cleaned[first:after]
            index = self.token_to_index.get(word, unknown)
            found.append(Token(word, spans[first][0], spans[after - 1][1], index, known=index != unknown))
        return found

    def texts_to_sequences(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Return for each headline its token indices, an int64 array (tokens,); unknown tokens become UNK."""
        get, unknown = self.token_to_index.get, self.token_to_index[UNK]
        return [np.array([get(token, unknown) for token in self.tokens(text)], dtype=np.int64) for text in texts]

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the token indices of all texts, one behind the other, and how many each text has.

        The same indices as `texts_to_sequences`, several times faster: many headlines are lowered, cut into words and
        looked up at once.

        Returns:
            int32 (tokens,) and int64 (texts,).
        """
        if self.char_level or self.cleaning == "lesson":
            sequences = self.texts_to_sequences(texts)
            lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
            return np.concatenate([*sequences, np.empty(0, np.int32)]).astype(np.int32), lengths
        blocks = [self._encode_block(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)]
        flat, counts = zip((np.empty(0, np.int32), np.empty(0, np.int64)), *blocks, strict=True)
        return np.concatenate(flat), np.concatenate(counts)

    def _encode_block(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts joined by line ends, of which cleaning makes spaces within a text."""
        undone = [clean(text) if _SUSPECT.search(text) else text for text in texts]
        joined = "\n".join([text.replace("\n", " ") if "\n" in text else text for text in undone]).lower()
        if joined.isascii():
            words = [line.split() for line in joined.translate(_ASCII_WORDS).split("\n")]
        else:
            split = _WORDS["default"].tokenize
            lines = joined.split("\n")
            words = [line.translate(_ASCII_WORDS).split() if line.isascii() else split(line) for line in lines]
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        indices = map(self.token_to_index.get, chain.from_iterable(words), repeat(self.token_to_index[UNK]))
        return np.fromiter(indices, dtype=np.int32, count=int(lengths.sum())), lengths

    def sequences_to_texts(self, sequences: Iterable[Sequence[int] | np.ndarray]) -> list[str]:
        """Return for each sequence of indices its tokens, joined as the level asks; foreign indices become UNK."""
        names = list(self.token_to_index)
        separator = "" if self.char_level else " "
        return [
            separator.join(names[i] if 0 <= i < len(names) else UNK for i in map(int, sequence))
            for sequence in sequences
        ]

    def save(self, path: Path) -> None:
        """Write everything the tokenizer was built with as JSON."""
        saved = _SavedTokenizer(
            self.cleaning,
            self.stop_words,
            self.char_level,
            self.num_tokens,
            self.min_token_freq,
            tuple(self.token_to_index),
        )
        write_json(Path(path), asdict(saved))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: the file is missing or is not a saved tokenizer.
        """
        path = Path(path)
        content = read_json(path)
        try:
            saved = _SavedTokenizer(**content)
            TextConfig(saved.cleaning, saved.char_level, saved.num_tokens)
            if len(set(saved.tokens)) != len(saved.tokens):
                raise DataError("a token stands twice")
            token_to_index = {token: index for index, token in enumerate(saved.tokens)}
            return cls(
                token_to_index,
                saved.cleaning,
                saved.stop_words,
                saved.char_level,
                saved.num_tokens,
                saved.min_token_freq,
            )
        except (ConfigError, DataError, TypeError) as error:
            raise ArtifactError(f"{path.name} in {path.parent} is not a saved tokenizer: {error!r}.") from None


@dataclass(frozen=True)
class _SavedTokenizer:
    """The content of tokenizer.json."""

    cleaning: str
    stop_words: tuple[str, ...]
    char_level: bool
    num_tokens: int | None
    min_token_freq: int
    tokens: tuple[str, ...]  # in the order of their indices

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True)
class LabelEncoder:
    """Class names and their indices (lesson: Label encoding)."""

    class_to_index: Mapping[str, int]

    @classmethod
    def fit(cls, labels: Iterable[str]) -> Self:
        """Number the classes in alphabetical order.

        >>> LabelEncoder.fit(["World", "Sports", "World", "Business", "Sci/Tech"]).class_to_index
        {'Business': 0, 'Sci/Tech': 1, 'Sports': 2, 'World': 3}
        """
        return cls({label: index for index, label in enumerate(sorted(set(labels)))})

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.class_to_index)

    @property
    def classes(self) -> list[str]:
        """The class names, in the order of their indices."""
        return list(self.class_to_index)

    def encode(self, labels: Iterable[str]) -> np.ndarray:
        """Return the indices of `labels`, an int64 array (labels,).

        Raises:
            DataError: a label that is no class.
        """
        labels = list(labels)
        unknown = sorted({str(label) for label in labels} - set(self.classes))
        if unknown:
            raise DataError(f"Unknown classes {unknown[:5]}: known are {self.classes}.")
        return np.array([self.class_to_index[label] for label in labels], dtype=np.int64)

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Return the class names of `indices`.

        Raises:
            DataError: an index that no class has.
        """
        classes = self.classes
        wanted = [int(index) for index in indices]
        foreign = [index for index in wanted if not 0 <= index < len(classes)]
        if foreign:
            raise DataError(f"No class has the index {foreign[0]}: there are {len(classes)}, from 0.")
        return [classes[index] for index in wanted]

    def save(self, path: Path) -> None:
        """Write the classes as JSON, in the lesson's form."""
        write_json(Path(path), {"class_to_index": dict(self.class_to_index)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: the file is missing or is not a saved label encoder.
        """
        path = Path(path)
        content = read_json(path)
        indices = content.get("class_to_index") if isinstance(content, dict) else None
        if not isinstance(indices, dict) or len(indices) < 2 or list(indices.values()) != list(range(len(indices))):
            raise ArtifactError(
                f"{path.name} in {path.parent} is not a saved label encoder: "
                '"class_to_index" with at least two classes, numbered from 0 in order, is expected.'
            )
        return cls(indices)
