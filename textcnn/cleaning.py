"""From a headline as typed to its cleaned text, with the places that each character left came from.

Cleaning is a list of rules: a pattern and what replaces it. Two readers apply the same list. `clean` gives the
cleaned text alone, fast; `clean_with_spans` also carries, for each character left, the part of the typed headline
that it stands for, so that every token knows where it was typed. A property test holds the two to the same text.
"""

import html
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files

__all__ = ["STOP_WORDS", "Span", "clean", "clean_with_spans"]

# NLTK's English stop words as they were in the lesson's day (179 entries), pinned: a later download has 198.
# The order matters: the lesson tries the words in this order at each place.
STOP_WORDS: tuple[str, ...] = tuple(
    files("textcnn").joinpath("data/stop_words.txt").read_text(encoding="utf-8").split()
)

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
Span = tuple[int, int]  # start and end of a part of the headline as typed, in characters


def _entity(match: re.Match[str]) -> str:
    """Turn a character reference, whole or without its `&`, into its character; what is none stays as it is."""
    name = match.group().lstrip("&")
    if name.startswith("#"):
        code = int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1])
        if code < 32:  # `We're #1; they're last` is not a control character
            return match.group()
    return html.unescape("&" + name)


# AG News titles carry the remains of HTML: `won #39;t`, ` quot;brothers quot;`, `AT amp;T`, `&lt;b&gt;...&lt;/b&gt;`,
# `\$5`. Named references without their `&` are undone in lower case for the four that the files lost it from, so
# that `Up;` and `Rise;` stay words. The reference rule stands twice because some are escaped twice (`&amp;lt;`).
_REFERENCE = re.compile(r"&?#\d{1,7};|&?#[xX][0-9a-fA-F]{1,6};|&\w{2,31};|\b(?:quot|amp|lt|gt);")
_DEBRIS: tuple[Rule, ...] = (
    (_REFERENCE, _entity),
    (_REFERENCE, _entity),
    (re.compile(r"</?[A-Za-z][^<>]*>"), " "),
)


def _lesson_rules(stop_words: Sequence[str]) -> tuple[Rule, ...]:
    """The expressions of the lesson's section Preprocessing, after lower case, in its order."""
    words = "|".join(re.escape(word) for word in stop_words)
    stop_word_rules: tuple[Rule, ...] = ((re.compile(rf"\b({words})\b\s*"), ""),) if stop_words else ()
    return (
        *stop_word_rules,
        (re.compile(r"\([^)]*\)"), ""),
        (re.compile(r"[-;;.,!?<=>]"), lambda match: f" {match.group()} "),
        (re.compile(r"[^A-Za-z0-9]+"), " "),
        (re.compile(r"^ | $"), ""),  # one space at most is left at each end
    )


@lru_cache(maxsize=32)
def _rules(cleaning: str, stop_words: tuple[str, ...]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules before and after lower case."""
    return ((), _lesson_rules(stop_words)) if cleaning == "lesson" else (_DEBRIS, ())


def clean(text: str, cleaning: str = "default", stop_words: tuple[str, ...] = STOP_WORDS) -> str:
    """Clean a headline.

    Args:
        text: the headline as typed.
        cleaning: "lesson" (the lesson's section Preprocessing: lower case; stop words, parentheses and all but
            a-z and 0-9 dropped) or "default" (lower case; debris of HTML turned back into text; nothing dropped).
        stop_words: the words that "lesson" drops; "default" keeps all.

    Returns:
        The cleaned headline.

    >>> clean("Great week for the NYSE!", "lesson")
    'great week nyse'
    >>> clean("Bush won #39;t meet AT amp;T &lt;b&gt;...&lt;/b&gt;")
    "bush won 't meet at &t  ... "
    """
    before, after = _rules(cleaning, stop_words)
    for pattern, replacement in before:
        text = pattern.sub(replacement, text)
    text = text.lower()
    for pattern, replacement in after:
        text = pattern.sub(replacement, text)
    return text


def clean_with_spans(text: str, cleaning: str, stop_words: tuple[str, ...]) -> tuple[str, list[Span]]:
    """Do what `clean` does, and give for each character left the span of `text` that it came from."""
    before, after = _rules(cleaning, stop_words)
    spans = [(i, i + 1) for i in range(len(text))]
    for rule in before:
        text, spans = _substitute(rule, text, spans)
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters become two: `İ` is one
        spans = [span for char, span in zip(text, spans, strict=True) for _ in char.lower()]
    text = lowered
    for rule in after:
        text, spans = _substitute(rule, text, spans)
    return text, spans


def _substitute(rule: Rule, text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    pattern, replacement = rule
    pieces: list[str] = []
    kept: list[Span] = []
    end = 0
    for match in pattern.finditer(text):
        new = replacement if isinstance(replacement, str) else replacement(match)
        pieces += text[end : match.start()], new
        kept += spans[end : match.start()]
        whole = (spans[match.start()][0], spans[match.end() - 1][1])
        kept += spans[match.start() : match.end()] if new == match.group() else [whole] * len(new)
        end = match.end()
    return "".join([*pieces, text[end:]]), kept + spans[end:]
