"""Cleaning, tokens with their places, vocabulary, classes."""

import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import AWKWARD, STOCKS
from textcnn.cleaning import STOP_WORDS, clean, clean_with_spans
from textcnn.config import TextConfig
from textcnn.errors import ArtifactError, DataError
from textcnn.text import PAD, UNK, LabelEncoder, Token, Tokenizer

DEFAULT = Tokenizer({PAD: 0, UNK: 1})
LESSON = Tokenizer({PAD: 0, UNK: 1}, "lesson", STOP_WORDS)
CHARACTERS = Tokenizer({PAD: 0, UNK: 1}, char_level=True)
BOTH = pytest.mark.parametrize("tokenizer", [DEFAULT, LESSON], ids=["default", "lesson"])

# What AG News titles are made of when they go wrong, with ordinary pieces between.
FRAGMENTS = [
    *("Oil", "won ", "t fall", "s", " ", ", ", "(", ")", "the ", "U.S.", "İ", "Σ", "é", "5", "...", "\x00", "\n"),
    *(
        "#39;",
        " #39;s",
        "\\$5",
        "#36;",
        "&lt;",
        "&gt;",
        "lt;",
        "gt;",
        " quot;",
        "amp;",
        "AT amp;T",
        "&amp;",
        "&amp;lt;",
    ),
    *("&lt;b&gt;", "&lt;/b&gt;", "<b>", "</b>", '<a href="x">', "< ", ">", "#1;", "#146;", "&#x27;", "#xD800;", "&#0;"),
    *("&eacute;", "&fjlig;", "#9999999;", "Up;", "Lt;", "&", ";", "#", "<", "/"),
]
debris = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


def places(text: str, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Each token beside what was typed for it."""
    return [(token.text, text[token.start : token.end]) for token in tokenizer.tokenize(text)]


# The lesson's worked examples


def test_lesson_cleans_the_nyse_title() -> None:
    """Lower case; the stop words `for the` and the exclamation mark go."""
    assert clean("Great week for the NYSE!", "lesson") == "great week nyse"


def test_lesson_cleans_the_sharon_title() -> None:
    title = "Sharon Accepts Plan to Reduce Gaza Army Operation, Haaretz Says"
    assert clean(title, "lesson") == "sharon accepts plan reduce gaza army operation haaretz says"


def test_lesson_tokens_of_the_stocks_headline() -> None:
    assert LESSON.tokens(STOCKS) == ["day", "new", "york", "stock", "market", "go", "bust"]


def test_lesson_marks_the_words_beyond_its_500_as_unknown() -> None:
    """The lesson prints `day new <UNK> stock market go <UNK>`: `york` and `bust` are too rare for its vocabulary."""
    known = [PAD, UNK, "day", "go", "market", "new", "stock"]
    tokenizer = Tokenizer({token: i for i, token in enumerate(known)}, "lesson", STOP_WORDS)
    sequences = tokenizer.texts_to_sequences([STOCKS])
    assert tokenizer.sequences_to_texts(sequences) == ["day new <UNK> stock market go <UNK>"]


def test_lesson_drops_what_stands_in_parentheses() -> None:
    assert clean("Stocks (and bonds) rally", "lesson") == "stocks rally"


def test_lesson_keeps_a_to_z_and_digits_alone() -> None:
    assert clean("Café №5: naïve 北京 x2", "lesson") == "caf 5 na ve x2"


def test_the_stop_word_list_is_the_one_of_179_words() -> None:
    """The lesson prints its first five; NLTK's list of today has 198 and would change the model."""
    assert len(STOP_WORDS) == len(set(STOP_WORDS)) == 179
    assert STOP_WORDS[:5] == ("i", "me", "my", "myself", "we")
    assert STOP_WORDS[-1] == "wouldn't"
    assert hashlib.sha256("\n".join(STOP_WORDS).encode()).hexdigest().startswith("2faef318155a")


# Debris of HTML


@pytest.mark.parametrize(
    ("title", "tokens"),
    [
        ("Oil #39;s rise", ["oil", "s", "rise"]),
        ("Bush won #39;t go", ["bush", "won", "t", "go"]),
        ("Oil at \\$5", ["oil", "at", "5"]),
        ("Oil at #36;5", ["oil", "at", "5"]),
        ("&lt;b&gt;Update&lt;/b&gt; on oil", ["update", "on", "oil"]),
        ("lt;b gt;Update lt;/b gt; on oil", ["update", "on", "oil"]),
        ("the quot;x quot; files", ["the", "x", "files"]),
        ("AT amp;T and R&amp;D", ["at", "t", "and", "r", "d"]),
        ("&amp;lt;b&amp;gt;Twice&amp;lt;/b&amp;gt;", ["twice"]),
        ("AT&amp;amp;T", ["at", "t"]),
        ("#146;tis spring", ["tis", "spring"]),
        ("it&rsquo;s &#x27;on&#X27;", ["it", "s", "on"]),
        ("caf&eacute; &#233;t&#233;", ["café", "été"]),
        ('&lt;A HREF="http://x.y"&gt;Reuters&lt;/A&gt; says', ["reuters", "says"]),
    ],
)
def test_debris_of_html_is_turned_back_into_text(title: str, tokens: list[str]) -> None:
    assert DEFAULT.tokens(title) == tokens


def test_no_debris_is_left_in_a_vocabulary() -> None:
    """The lesson's most frequent tokens on AG News are `39`, `b`, `gt`: none of them is a word of a headline."""
    titles = [
        "Oil #39;s &lt;b&gt;rise&lt;/b&gt; to \\$5 AT amp;T &amp;amp; quot;x quot; #36;7 #146;tis",
        "&amp;lt;b&amp;gt;Stocks&amp;lt;/b&amp;gt; lt;b gt;won #39;t lt;/b gt; &quot;fall&quot; #34;now#34;",
    ]
    vocabulary = set(Tokenizer.fit_on_texts(titles, TextConfig()).token_to_index)
    assert not vocabulary & {"39", "b", "lt", "gt", "quot", "amp", "36", "34", "146"}
    assert {"oil", "s", "rise", "5", "7", "at", "t", "x", "tis", "stocks", "won", "fall", "now"} <= vocabulary


@pytest.mark.parametrize(
    "title",
    [
        "Prices Up; Rates Down",
        "Rise; and Shine",
        "Lt; Col North Speaks",
        "GT; a car",
        "AT&T; Up",
        "Q&A; Today",
        "vamp; x",
    ],
)
def test_ordinary_words_before_a_semicolon_are_untouched(title: str) -> None:
    assert clean(title) == title.lower()


def test_a_number_before_a_semicolon_is_no_control_character() -> None:
    """`#1;` looks like the reference of a control character; it says who is first."""
    title = "We're #1; they're last"
    assert clean(title) == title.lower()
    assert DEFAULT.tokens(title) == ["we", "re", "1", "they", "re", "last"]


def test_a_comparison_is_no_tag() -> None:
    assert DEFAULT.tokens("Profit < loss > hope") == ["profit", "loss", "hope"]


def test_default_drops_no_word() -> None:
    assert DEFAULT.tokens("What a day (for the bulls)!") == ["what", "a", "day", "for", "the", "bulls"]


# Every script


@pytest.mark.parametrize(
    "words",
    [
        ["北京", "股市", "大跌"],
        ["हिन्दी", "समाचार", "की", "स्थिति"],
        ["αθήνα", "σήμερα"],
        ["москва", "сегодня"],
        ["café", "naïve", "ñandú"],
        ["القاهرة", "اليوم"],
        ["ข่าว", "กีฬา"],
    ],
    ids=["Chinese", "Devanagari", "Greek", "Cyrillic", "accents", "Arabic", "Thai"],
)
def test_letters_of_every_script_stay_in_words(words: list[str]) -> None:
    r"""A vowel sign of Devanagari is no letter to `\w`, and would cut the word."""
    assert DEFAULT.tokens(", ".join(words)) == words


def test_an_accent_that_stands_alone_stays_in_its_word() -> None:
    title = unicodedata.normalize("NFD", "café naïve")
    assert DEFAULT.tokens(title) == title.split()


# Vocabulary


def test_frequent_words_come_first_and_ties_by_the_alphabet() -> None:
    tokenizer = Tokenizer.fit_on_texts(["pear fig", "fig apple kiwi", "kiwi fig"], TextConfig())
    assert list(tokenizer.token_to_index) == [PAD, UNK, "fig", "kiwi", "apple", "pear"]


def test_the_order_of_the_titles_does_not_change_the_vocabulary() -> None:
    titles = ["b a", "d c", "a c"]
    vocabularies = {
        tuple(Tokenizer.fit_on_texts(order, TextConfig()).token_to_index) for order in (titles, titles[::-1])
    }
    assert vocabularies == {(PAD, UNK, "a", "c", "b", "d")}


def test_num_tokens_counts_pad_and_unknown() -> None:
    """The lesson's 500 tokens are 498 words, PAD and UNK."""
    titles = ["a b c d e f", "a b c d e", "a b c"]
    tokenizer = Tokenizer.fit_on_texts(titles, TextConfig(num_tokens=5))
    assert list(tokenizer.token_to_index) == [PAD, UNK, "a", "b", "c"]
    assert len(tokenizer) == 5


def test_min_token_freq_is_the_count_of_the_rarest_kept_word() -> None:
    """As in the lesson: what to look at before num_tokens is changed, not a threshold."""
    titles = ["a a a b b c"]
    assert Tokenizer.fit_on_texts(titles, TextConfig()).min_token_freq == 1
    assert Tokenizer.fit_on_texts(titles, TextConfig(num_tokens=4)).min_token_freq == 2
    assert Tokenizer.fit_on_texts(titles, TextConfig(num_tokens=3)).min_token_freq == 3


def test_min_count_leaves_rarer_words_out() -> None:
    tokenizer = Tokenizer.fit_on_texts(["a a a b b c"], TextConfig(min_count=2))
    assert list(tokenizer.token_to_index) == [PAD, UNK, "a", "b"]
    assert tokenizer.min_token_freq == 2


@pytest.mark.parametrize("titles", [[], [""], ["?!", "  "]])
def test_titles_without_a_word_give_no_vocabulary(titles: list[str]) -> None:
    with pytest.raises(DataError, match=r"No headline has a word that occurs 1 times or more .*\(default\)"):
        Tokenizer.fit_on_texts(titles, TextConfig())


def test_min_count_above_every_word_says_so() -> None:
    with pytest.raises(DataError, match=r"occurs 3 times or more.*lower min_count"):
        Tokenizer.fit_on_texts(["a b", "a b"], TextConfig(min_count=3))


@pytest.mark.parametrize(
    "vocabulary", [{}, {"a": 0, "b": 1}, {UNK: 0, PAD: 1}, {PAD: 0, UNK: 1, "a": 3}, {PAD: 0, UNK: 1, "a": 1}]
)
def test_a_vocabulary_with_gaps_or_without_pad_is_refused(vocabulary: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"<PAD> at 0, <UNK> at 1"):
        Tokenizer(vocabulary)


def test_unknown_words_get_the_index_of_unk() -> None:
    tokenizer = Tokenizer.fit_on_texts(["oil up"], TextConfig())
    (sequence,) = tokenizer.texts_to_sequences(["Oil zxqv UP"])
    assert sequence.dtype == np.int64
    assert sequence.tolist() == [2, 1, 3]
    assert [token.known for token in tokenizer.tokenize("Oil zxqv UP")] == [True, False, True]


@BOTH
@pytest.mark.parametrize("text", ["", "   ", "?!"])
def test_a_text_without_a_word_gives_no_tokens(tokenizer: Tokenizer, text: str) -> None:
    """The lesson splits the empty text into one empty token, which is unknown."""
    assert tokenizer.texts_to_sequences([text])[0].tolist() == []
    assert tokenizer.tokenize(text) == []


def test_a_foreign_index_reads_as_unknown() -> None:
    tokenizer = Tokenizer.fit_on_texts(["oil up"], TextConfig())
    assert tokenizer.sequences_to_texts([[2, 3, 99, -1, 0]]) == ["oil up <UNK> <UNK> <PAD>"]


def test_two_tokenizers_share_nothing() -> None:
    """The lesson's mutable default kept the first one's words in the second."""
    first = Tokenizer.fit_on_texts(["oil"], TextConfig())
    second = Tokenizer.fit_on_texts(["gold"], TextConfig())
    assert list(first.token_to_index) == [PAD, UNK, "oil"]
    assert list(second.token_to_index) == [PAD, UNK, "gold"]


# Characters


def test_characters_of_aou_have_the_indices_of_the_lesson() -> None:
    """The lesson's vocabulary a, e, i, o, u from 0 represents `aou` by 0, 3, 4; PAD and UNK shift them by two."""
    tokenizer = Tokenizer.fit_on_texts(["aeiou"], TextConfig(char_level=True))
    assert list(tokenizer.token_to_index) == [PAD, UNK, "a", "e", "i", "o", "u"]
    assert (tokenizer.texts_to_sequences(["aou"])[0] - 2).tolist() == [0, 3, 4]


def test_characters_are_joined_without_spaces() -> None:
    tokenizer = Tokenizer.fit_on_texts(["aeiou"], TextConfig(char_level=True))
    assert tokenizer.sequences_to_texts(tokenizer.texts_to_sequences(["aox"])) == ["ao<UNK>"]


def test_characters_point_to_where_they_were_typed() -> None:
    assert places("A &lt;b&gt;É #39;", CHARACTERS) == [
        ("a", "A"),
        (" ", " "),
        (" ", "&lt;b&gt;"),
        ("é", "É"),
        (" ", " "),
        ("'", "#39;"),
    ]


# Places


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Oil won #39;t FALL", [("oil", "Oil"), ("won", "won"), ("t", "t"), ("fall", "FALL")]),
        ("&lt;b&gt;Up&lt;/b&gt; \\$5", [("up", "Up"), ("5", "5")]),
        ("caf&eacute; AT amp;T", [("café", "caf&eacute;"), ("at", "AT"), ("t", "T")]),
        ("&#233;t&#233; 2004", [("été", "&#233;t&#233;"), ("2004", "2004")]),
        ("&amp;eacute;t", [("ét", "&amp;eacute;t")]),
        ("foo(bar)baz", [("foo", "foo"), ("bar", "bar"), ("baz", "baz")]),
        ("İstanbul'da", [("i̇stanbul", "İstanbul"), ("da", "da")]),
        ("a\tb\nc", [("a", "a"), ("b", "b"), ("c", "c")]),
    ],
)
def test_default_tokens_point_to_what_was_typed(title: str, expected: list[tuple[str, str]]) -> None:
    assert places(title, DEFAULT) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Great week for the NYSE!", [("great", "Great"), ("week", "week"), ("nyse", "NYSE")]),
        ("foo(bar)baz qux", [("foobaz", "foo(bar)baz"), ("qux", "qux")]),
        ("Oil (again) HITS2", [("oil", "Oil"), ("hits2", "HITS2")]),
        ("Oil #39;s \\$5", [("oil", "Oil"), ("39", "39"), ("5", "5")]),
        ("Xİk, the café", [("xi", "Xİ"), ("k", "k"), ("caf", "caf")]),
        ("x-the-y.z", [("x", "x"), ("z", "z")]),
    ],
)
def test_lesson_tokens_point_to_what_was_typed(title: str, expected: list[tuple[str, str]]) -> None:
    """Where a middle is removed, the token spans what stood around it."""
    assert places(title, LESSON) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("We're #1; they", [("we", "We"), ("re", "re"), ("1", "1"), ("they", "they")]),
        ("x &new_york; y", [("x", "x"), ("new", "new"), ("york", "york"), ("y", "y")]),
    ],
)
def test_what_only_looks_like_debris_keeps_its_places(title: str, expected: list[tuple[str, str]]) -> None:
    """`&new_york;` is no reference and stays as typed, so its two words must not both point to all of it."""
    assert places(title, DEFAULT) == expected


@pytest.mark.parametrize("cleaning", ["default", "lesson"])
@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=40), debris))
def test_the_two_readers_of_the_rules_agree(cleaning: str, text: str) -> None:
    """One gives the text alone, one gives its places too."""
    stop_words = STOP_WORDS if cleaning == "lesson" else ()
    cleaned, spans = clean_with_spans(text, cleaning, stop_words)
    assert cleaned == clean(text, cleaning, stop_words)
    assert len(spans) == len(cleaned)


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=40), debris))
def test_places_lie_within_the_headline_in_order_without_overlap(tokenizer: Tokenizer, text: str) -> None:
    end = 0
    for token in tokenizer.tokenize(text):
        assert end <= token.start < token.end <= len(text)
        end = token.end


@pytest.mark.parametrize("tokenizer", [DEFAULT, LESSON, CHARACTERS], ids=["default", "lesson", "characters"])
@settings(max_examples=100, deadline=None)
@given(text=st.one_of(st.text(max_size=40), debris, st.sampled_from([text[:200] for text in AWKWARD])))
def test_tokens_are_the_texts_of_tokenize(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.tokens(text) == [token.text for token in tokenizer.tokenize(text)]


# Without what can be debris, and without the letters whose lower case depends on their neighbours.
plain = st.text(st.characters(exclude_characters="&#<>;Σ"), max_size=40)


@settings(max_examples=150, deadline=None)
@given(text=plain)
def test_a_default_token_is_what_was_typed_in_lower_case(text: str) -> None:
    for token in DEFAULT.tokenize(text):
        assert text[token.start : token.end].lower() == token.text


words = st.lists(st.text(st.sampled_from("abcdefgéüñабв0189"), min_size=1, max_size=6), min_size=1, max_size=8)


@BOTH
@settings(max_examples=100, deadline=None)
@given(typed=words)
def test_upper_and_lower_case_give_the_same_tokens(tokenizer: Tokenizer, typed: list[str]) -> None:
    text = " ".join(typed)
    assert tokenizer.tokens(text.upper()) == tokenizer.tokens(text.title()) == tokenizer.tokens(text)


@BOTH
@settings(max_examples=100, deadline=None)
@given(typed=words, gap=st.sampled_from(["  ", "\t", " \n ", "\u00a0", "\u2003"]))
def test_extra_spacing_gives_the_same_tokens(tokenizer: Tokenizer, typed: list[str], gap: str) -> None:
    assert tokenizer.tokens(gap + gap.join(typed) + gap) == tokenizer.tokens(" ".join(typed))


def test_a_token_is_ready_for_json() -> None:
    assert Token("oil", 0, 3, 7, True).to_dict() == {"text": "oil", "start": 0, "end": 3, "index": 7, "known": True}


# Saved and loaded


@pytest.mark.parametrize(
    "config",
    [
        TextConfig(cleaning="lesson", num_tokens=9, min_count=2),
        TextConfig(cleaning="lesson", char_level=True, num_tokens=20),
        TextConfig(char_level=True, min_count=2),
        TextConfig(),
    ],
)
def test_a_tokenizer_comes_back_as_it_was(tmp_path: Path, config: TextConfig) -> None:
    titles = ["Oil won #39;t fall (again)", "The oil, the oil: 北京 été", "Oil and gold won again"]
    tokenizer = Tokenizer.fit_on_texts(titles, config)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded == tokenizer
    assert list(loaded.token_to_index) == list(tokenizer.token_to_index)
    for title in [*titles, *AWKWARD]:
        assert loaded.tokenize(title) == tokenizer.tokenize(title)


def test_a_tokenizer_with_its_own_stop_words_keeps_them(tmp_path: Path) -> None:
    """A list of another day must not come back as today's."""
    tokenizer = Tokenizer({PAD: 0, UNK: 1, "the": 2}, "lesson", ("oil",), num_tokens=40, min_token_freq=3)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.tokens("The oil price") == ["the", "price"]
    assert (loaded.num_tokens, loaded.min_token_freq) == (40, 3)


@pytest.mark.parametrize("part", [Tokenizer, LabelEncoder])
def test_a_missing_file_is_named(tmp_path: Path, part: type[Tokenizer] | type[LabelEncoder]) -> None:
    with pytest.raises(ArtifactError, match=r"words\.json is missing"):
        part.load(tmp_path / "words.json")


# Classes


def test_classes_are_numbered_by_the_alphabet() -> None:
    """The lesson prints {'Business': 0, 'Sci/Tech': 1, 'Sports': 2, 'World': 3}."""
    encoder = LabelEncoder.fit(["World", "Sports", "Business", "World", "Sci/Tech"])
    assert dict(encoder.class_to_index) == {"Business": 0, "Sci/Tech": 1, "Sports": 2, "World": 3}
    assert encoder.encode(["World"]).tolist() == [3]
    assert len(encoder) == 4


def test_decode_undoes_encode() -> None:
    encoder = LabelEncoder.fit(["b", "a", "c"])
    labels = ["c", "a", "b", "a"]
    assert encoder.encode(labels).dtype == np.int64
    assert encoder.decode(encoder.encode(labels)) == labels


def test_an_unknown_class_is_named() -> None:
    encoder = LabelEncoder.fit(["Business", "World"])
    with pytest.raises(DataError, match=r"Unknown classes \['Weather'\]: known are \['Business', 'World'\]"):
        encoder.encode(["World", "Weather"])


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_without_a_class_is_named(index: int) -> None:
    """Counting from the end would give a wrong class in silence."""
    with pytest.raises(DataError, match=f"No class has the index {index}: there are 2"):
        LabelEncoder.fit(["a", "b"]).decode([0, index])


def test_two_encoders_share_nothing() -> None:
    """The lesson's mutable default gave the second one the first one's classes."""
    first, second = LabelEncoder.fit(["a", "b"]), LabelEncoder.fit(["x", "y"])
    assert first.classes == ["a", "b"]
    assert second.classes == ["x", "y"]


def test_an_encoder_comes_back_as_it_was(tmp_path: Path) -> None:
    encoder = LabelEncoder.fit(["Sci/Tech", "été", 'quo"te', "北京"])
    encoder.save(tmp_path / "label_encoder.json")
    loaded = LabelEncoder.load(tmp_path / "label_encoder.json")
    assert loaded.classes == encoder.classes
    assert loaded.encode(["北京", "été"]).tolist() == encoder.encode(["北京", "été"]).tolist()


# Many headlines at once


@settings(deadline=None, max_examples=80)
@given(st.lists(st.one_of(st.text(), st.sampled_from([*AWKWARD, "ΑΣ", "Σ", "İ", "a\nb", "é&amp;x\n<b", "A;B"]))))
@pytest.mark.parametrize("tokenizer", [DEFAULT, LESSON], ids=["default", "lesson"])
def test_encoding_many_gives_the_indices_of_each(tokenizer: Tokenizer, texts: list[str]) -> None:
    known = Tokenizer.fit_on_texts([*texts, "b"], TextConfig(cleaning=tokenizer.cleaning))
    flat, lengths = known.encode(texts)
    assert (flat.dtype, lengths.dtype) == (np.int32, np.int64)
    sequences = known.texts_to_sequences(texts)
    assert lengths.tolist() == [len(sequence) for sequence in sequences]
    assert flat.tolist() == [index for sequence in sequences for index in sequence.tolist()]
