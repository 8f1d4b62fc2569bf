"""Training, validation and test rows."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textcnn.errors import DataError
from textcnn.sources import Headlines
from textcnn.splits import Split, split, title_key

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words(number: int) -> str:
    """Another title for each number."""
    return f"title {LETTERS[number % 26]}{LETTERS[number // 26 % 26]} {number}"


def parts(found: Split) -> list[np.ndarray]:
    return [found.train, found.validation, found.test]


def where(found: Split, rows: list[int]) -> set[int]:
    """The parts in which some rows are."""
    return {place for place, part in enumerate(parts(found)) if set(rows) & set(part.tolist())}


@pytest.fixture(scope="module")
def ag_news_sized() -> tuple[list[str], list[str]]:
    labels = [("Business", "Sci/Tech", "Sports", "World")[row % 4] for row in range(120_000)]
    return [str(row) for row in range(120_000)], labels


def test_the_lessons_120_000_rows_give_84_000_18_000_18_000(ag_news_sized: tuple[list[str], list[str]]) -> None:
    """The lesson prints these shapes; each class has the same share of each part."""
    titles, labels = ag_news_sized
    found = split(titles, labels, "random")
    assert [len(part) for part in parts(found)] == [84_000, 18_000, 18_000]
    for part, each in zip(parts(found), (21_000, 4_500, 4_500), strict=True):
        assert set(Counter(labels[row] for row in part).values()) == {each}


@pytest.mark.parametrize("method", ["random", "duplicates"])
def test_every_row_is_in_one_part(sample: Headlines, method: str) -> None:
    found = split(sample.titles, sample.labels, method)
    assert sorted(np.concatenate(parts(found)).tolist()) == list(range(len(sample)))


@pytest.mark.parametrize("method", ["random", "duplicates"])
@pytest.mark.parametrize("fractions", [(0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (0.2, 0.3, 0.5)])
def test_the_fractions_count(method: str, fractions: tuple[float, float, float]) -> None:
    """The lesson's function takes a train_size and never reads it: there it is always .7, .15, .15."""
    titles, labels = [words(row) for row in range(400)], ["a", "b"] * 200
    found = split(titles, labels, method, fractions)
    assert [len(part) for part in parts(found)] == pytest.approx([400 * share for share in fractions], abs=1)


@pytest.mark.parametrize("method", ["random", "duplicates"])
def test_classes_of_any_size_keep_their_shares(method: str) -> None:
    labels = ["rare"] * 40 + ["common"] * 360
    found = split([words(row) for row in range(400)], labels, method)
    assert [Counter(labels[row] for row in part)["rare"] for part in parts(found)] == [28, 6, 6]


def duplicated() -> tuple[list[str], list[str], list[list[int]]]:
    """300 titles, of which the first 100 stand there twice; the rows of each pair."""
    titles = [words(row) for row in range(300)] + [words(row) for row in range(100)]
    labels = [("a", "b", "c")[row % 3] for row in range(300)] + [("a", "b", "c")[row % 3] for row in range(100)]
    return titles, labels, [[row, row + 300] for row in range(100)]


def test_copies_of_a_title_are_on_one_side() -> None:
    titles, labels, pairs = duplicated()
    found = split(titles, labels)
    assert all(len(where(found, pair)) == 1 for pair in pairs)
    assert len({frozenset(where(found, pair)) for pair in pairs}) == 3  # and not all on the same one


def test_the_lessons_split_puts_copies_on_both_sides() -> None:
    """What it is tested on, it has learned by heart."""
    titles, labels, pairs = duplicated()
    found = split(titles, labels, "random")
    assert sum(len(where(found, pair)) > 1 for pair in pairs) > 30


@pytest.mark.parametrize(
    "copy",
    [
        "OIL WON'T FALL TO $5, BANKS SAY",
        "oil  won't fall to  $5 - banks say!",
        "Oil won #39;t fall to \\$5, banks say",
        "Oil won&#39;t fall to #36;5, banks say",
        "&lt;b&gt;Oil&lt;/b&gt; won't fall to $5 (banks say)",
    ],
)
def test_copies_may_differ_in_case_punctuation_and_debris(copy: str) -> None:
    title = "Oil won't fall to $5, banks say"
    assert title_key(copy) == title_key(title)
    titles = [words(row) for row in range(200)]
    for seed in range(5):
        found = split([title, *titles, copy], ["a", *(["a", "b"] * 100), "a"], seed=seed)
        assert len(where(found, [0, 201])) == 1


def test_titles_that_differ_in_a_letter_or_digit_are_no_copies() -> None:
    assert len({title_key(title) for title in ("Oil at 5", "Oil at 6", "Oils at 5", "Öl at 5", "石油 5")}) == 5


def test_the_key_is_the_same_under_every_preset() -> None:
    """The lesson's cleaning would drop `the` and `(again)`, and so take other titles for copies."""
    assert title_key("The oil (again)") == "theoilagain"


def test_copies_under_two_classes_are_on_one_side() -> None:
    """AG News has such titles."""
    titles, labels, pairs = duplicated()
    labels[300:] = [{"a": "b", "b": "c", "c": "a"}[label] for label in labels[300:]]
    found = split(titles, labels)
    assert all(len(where(found, pair)) == 1 for pair in pairs)


def test_the_sample_has_no_title_on_two_sides(sample: Headlines) -> None:
    found = split(sample.titles, sample.labels)
    keys = [{title_key(sample.titles[row]) for row in part} for part in parts(found)]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]


@pytest.mark.parametrize("method", ["random", "duplicates"])
def test_a_seed_decides_the_split(sample: Headlines, method: str) -> None:
    first, again = (split(sample.titles, sample.labels, method, seed=5) for _ in range(2))
    other = split(sample.titles, sample.labels, method, seed=6)
    for one, same, different in zip(parts(first), parts(again), parts(other), strict=True):
        assert one.tolist() == same.tolist()
        assert one.tolist() != different.tolist()


def test_the_order_within_a_part_is_that_of_the_rows(sample: Headlines) -> None:
    for part in parts(split(sample.titles, sample.labels)):
        assert part.tolist() == sorted(part.tolist())


@pytest.mark.parametrize("method", ["random", "duplicates"])
@pytest.mark.parametrize(("a", "b"), [(1, 100), (2, 100), (1, 1), (0, 100)])
def test_too_few_titles_are_counted(method: str, a: int, b: int) -> None:
    if not a:
        a, method = 2, "duplicates"
    labels = ["a"] * a + ["b"] * b
    with pytest.raises(DataError, match=f"Too few distinct titles .*found a {a}, b {b}. Give at least 20 distinct"):
        split([words(row) for row in range(a + b)], labels, method)


def test_many_copies_of_few_titles_are_too_few() -> None:
    """The rows are many; what counts is that they differ."""
    with pytest.raises(DataError, match=r"found a 2, b 40\. Give at least 20 distinct titles"):
        split([words(row % 2) for row in range(40)] + [words(row) for row in range(2, 42)], ["a"] * 40 + ["b"] * 40)


def test_a_class_that_copies_take_out_of_a_part_is_told() -> None:
    """Its titles all count for another class, whose copies come first."""
    titles = [words(row) for row in range(60)] + [words(0)] * 30
    with pytest.raises(DataError, match="Too few distinct titles"):
        split(titles, ["a", "b"] * 30 + ["c"] * 30)


@pytest.mark.parametrize("seed", range(10))
def test_twenty_titles_of_a_class_are_enough(seed: int) -> None:
    """As the message says."""
    labels = [name for name in "abcd" for _ in range(20)]
    found = split([words(row) for row in range(80)], labels, seed=seed)
    assert all({labels[row] for row in part} == set("abcd") for part in parts(found))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_parts_are_disjoint_complete_and_keep_copies_together(data: st.DataObject) -> None:
    rows = data.draw(st.integers(120, 250))
    numbers = data.draw(st.lists(st.integers(0, 120), min_size=rows, max_size=rows))
    titles = [words(number) for number in [*range(120), *numbers]]
    labels = ["abc"[(number + row // 120) % 3] for row, number in enumerate([*range(120), *numbers])]
    method = data.draw(st.sampled_from(["random", "duplicates"]))
    found = split(titles, labels, method, seed=data.draw(st.integers(0, 2**32 - 1)))
    assert sorted(np.concatenate(parts(found)).tolist()) == list(range(len(titles)))
    assert all({labels[row] for row in part} == set("abc") for part in parts(found))
    if method == "duplicates":
        keys = [{titles[row] for row in part} for part in parts(found)]
        assert sum(map(len, keys)) == len(set(titles))


def test_one_enormous_title_costs_no_memory_for_the_others() -> None:
    """A row that an open quotation mark made long must not be paid for by each of 120,000 others."""
    titles = [words(row) for row in range(2_000)] + ["x" * 20_000]
    tracemalloc.start()
    try:
        split(titles, ["a", "b"] * 1000 + ["a"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000
