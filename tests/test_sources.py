"""Headlines from a CSV, from the official files, from the sample."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest

from tests.servers import Site, free_port, serve
from textcnn import sources
from textcnn.errors import DataError
from textcnn.sources import Headlines, OfficialFile, official, read_csv
from textcnn.text import Tokenizer

Write = Callable[..., Path]

# The sample


def test_the_sample_is_large_and_balanced(sample: Headlines) -> None:
    assert len(sample) >= 240
    assert len(sample.class_counts) == 4
    assert len(set(sample.class_counts.values())) == 1


def test_the_sample_loses_no_row(sample: Headlines) -> None:
    assert (sample.origin, sample.rows, sample.dropped) == ("sample", len(sample), {})


def test_the_sample_has_many_words(sample: Headlines) -> None:
    tokenizer = Tokenizer({"<PAD>": 0, "<UNK>": 1})
    assert len({token for title in sample.titles for token in tokenizer.tokens(title)}) >= 1200


def test_no_two_titles_of_the_sample_share_more_than_half_their_words(sample: Headlines) -> None:
    """A sample written from a few templates would look learned where it is remembered."""
    tokenizer = Tokenizer({"<PAD>": 0, "<UNK>": 1})
    bags = [set(tokenizer.tokens(title)) for title in sample.titles]
    alike = [
        (sample.titles[i], sample.titles[j])
        for i in range(len(bags))
        for j in range(i)
        if len(bags[i] & bags[j]) > 0.5 * min(len(bags[i]), len(bags[j]))
    ]
    assert alike == []


# CSV


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(content: str | bytes, name: str = "headlines.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return _write


def test_titles_such_as_na_and_null_are_titles(write: Write) -> None:
    """`pandas` takes them for missing values unless told otherwise."""
    read = read_csv(write("title,category\nNA,A\nnull,B\nNone,A\nnan,B\n,A\n"))
    assert read.titles == ["NA", "null", "None", "nan"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write) -> None:
    read = read_csv(write("title,category\nOil up,A\nGoal,B\n", encoding="utf-8-sig"))
    assert read.titles == ["Oil up", "Goal"]


def test_other_columns_and_their_order_do_not_matter(write: Write) -> None:
    read = read_csv(write("id,category,text,title\n1,A,x,Oil up\n2,B,y,Goal\n"))
    assert (read.titles, read.labels) == (["Oil up", "Goal"], ["A", "B"])


def test_quotes_commas_and_line_ends_inside_quotes_are_text(write: Write) -> None:
    read = read_csv(write('title,category\n"Oil up, ""shares"" down",A\n"two\nlines",B\n'))
    assert read.titles == ['Oil up, "shares" down', "two\nlines"]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_any_line_end_will_do(write: Write, end: str) -> None:
    assert read_csv(write(end.join(["title,category", "Oil up,A", "Goal,B", ""]))).titles == ["Oil up", "Goal"]


def test_titles_stay_as_typed_and_classes_lose_outer_spaces(write: Write) -> None:
    read = read_csv(write("title,category\n  Oil  up ,A \nGoal, B\n"))
    assert (read.titles, read.labels) == (["  Oil  up ", "Goal"], ["A", "B"])


def test_dropped_rows_are_counted_by_reason(write: Write) -> None:
    read = read_csv(write("title,category\nOil up,A\n,A\n   ,B\nGoal,B\nLost,\nLost, \n,\n"))
    assert read.titles == ["Oil up", "Goal"]
    assert read.rows == 7
    assert read.dropped == {"no title": 3, "no category": 2}


def test_what_was_read_is_described_without_a_path(write: Write) -> None:
    path = write("title,category\nOil up,B\nGoal,A\n,A\nGoal,B\n")
    assert read_csv(path).describe() == {
        "origin": "csv",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "rows": 4,
        "dropped": {"no title": 1},
        "kept": 3,
        "classes": {"A": 1, "B": 2},
    }


def test_another_encoding_is_named_and_can_be_given(write: Write) -> None:
    path = write("title,category\nCafé opens,A\nGoal,B\n", encoding="cp1252")
    with pytest.raises(
        DataError, match=r"headlines\.csv is not utf-8 text: byte 0xe9 .*--encoding, for example cp1252"
    ):
        read_csv(path)
    assert read_csv(path, encoding="cp1252").titles == ["Café opens", "Goal"]


@pytest.mark.parametrize("encoding", ["klingon", "base64"])
def test_an_encoding_that_python_does_not_know_is_named(write: Write, encoding: str) -> None:
    path = write("title,category\nOil up,A\nGoal,B\n")
    with pytest.raises(DataError, match=f"{encoding}.*give an encoding that Python knows"):
        read_csv(path, encoding=encoding)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_says_so(write: Write, content: str) -> None:
    with pytest.raises(DataError, match=r"headlines\.csv is empty: a header and at least one row"):
        read_csv(write(content))


def test_a_header_alone_says_that_there_are_no_rows(write: Write) -> None:
    with pytest.raises(DataError, match=r"has 0 usable rows .*at least two classes"):
        read_csv(write("title,category\n"))


def test_a_single_class_says_that_two_are_needed(write: Write) -> None:
    with pytest.raises(DataError, match=r"2 usable rows of the classes \['A'\]: at least two classes"):
        read_csv(write("title,category\nOil up,A\nGoal,A\n"))


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("headline,category", r"no column title: found \['headline', 'category'\]"),
        ("title,label", r"no column category: found \['title', 'label'\]"),
        ("Title,Category", r"no column title and no column category: found \['Title', 'Category'\]"),
        ("title;category", r"no column title and no column category: found \['title;category'\]"),
    ],
)
def test_a_missing_column_is_named_with_those_found(write: Write, header: str, missing: str) -> None:
    row = "Oil up;A" if ";" in header else "Oil up,A"
    with pytest.raises(DataError, match=missing):
        read_csv(write(f"{header}\n{row}\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*none\.csv"):
        read_csv(tmp_path / "none.csv")


def test_a_folder_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_csv(tmp_path)


def test_an_open_quotation_mark_does_not_swallow_the_file(write: Write) -> None:
    with pytest.raises(DataError, match=r"headlines\.csv cannot be read as CSV"):
        read_csv(write('title,category\n"Oil up,A\nGoal,B\n'))


def test_a_later_row_with_a_field_too_many_names_its_line(write: Write) -> None:
    with pytest.raises(DataError, match=r"cannot be read as CSV: .*line 3, saw 3"):
        read_csv(write("title,category\nGoal,B\nOil up, shares down,A\n"))


def test_a_first_row_with_a_field_too_many_is_refused_too(write: Write) -> None:
    """Pandas takes the first column for row names where the first row is longer than the header.

    The titles then become what stands after the first comma.
    """
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_csv(write("title,category\nOil up, shares down,A\nGoal, draw,B\n"))


def test_a_row_with_a_field_too_few_is_dropped_and_counted(write: Write) -> None:
    read = read_csv(write("title,category\nOil up,A\nGoal\nDraw,B\n"))
    assert (read.titles, read.dropped) == (["Oil up", "Draw"], {"no category": 1})


@pytest.mark.parametrize("name", ["data.zip", "data.xz", "data.gz", "data.bz2", "data.zst", "data.tar"])
def test_a_csv_with_the_name_of_an_archive_is_read_or_refused(write: Write, name: str) -> None:
    """Pandas unpacks by the name; what is no archive then fails in the archive's own words."""
    path = write("title,category\nOil up,A\nGoal,B\n", name=name)
    try:
        assert read_csv(path).titles == ["Oil up", "Goal"]
    except DataError as error:
        assert name in str(error)  # noqa: PT017 - either way will do


# The official files

TRAIN = (
    b'"3","Oil hits \\$50","text"\n"2","Late goal, ""offside""","text"\n'
    b'"4","NA","x"\n"1","Peace talks","y"\n"1","","z"\n'
)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The official train file, small and on this machine."""
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))  # between two tries
    with serve() as site:
        site.files["/train.csv"] = TRAIN
        pinned = OfficialFile(f"{site.url}/train.csv", len(TRAIN), hashlib.sha256(TRAIN).hexdigest())
        monkeypatch.setattr(sources, "OFFICIAL_FILES", {"train": pinned})
        yield site


def test_official_titles_have_their_classes(site: Site, tmp_path: Path) -> None:
    """1 to 4 are World, Sports, Business, Sci/Tech; there is no header; a row without a title is dropped."""
    read = official("train", tmp_path)
    assert read.titles == ["Oil hits \\$50", 'Late goal, "offside"', "NA", "Peace talks"]
    assert read.labels == ["Business", "Sports", "Sci/Tech", "World"]
    assert (read.origin, read.rows, read.dropped) == ("AG News train", 5, {"no title": 1})
    assert read.sha256 == hashlib.sha256(TRAIN).hexdigest()


def test_official_files_are_downloaded_once(site: Site, tmp_path: Path) -> None:
    first = official("train", tmp_path)
    assert official("train", tmp_path) == first
    assert site.requests == ["/train.csv"]


def test_official_files_go_to_the_users_cache(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    official("train")
    assert (tmp_path / "textcnn" / "ag_news_train.csv").read_bytes() == TRAIN


def test_another_file_than_the_pinned_one_is_refused(site: Site, tmp_path: Path) -> None:
    """A page of a captive portal must not be trained on, nor stay in the cache."""
    site.files["/train.csv"] = b"<html>Log in</html>"
    with pytest.raises(DataError, match=r"not the pinned AG News file.*--data FILE, or try --sample"):
        official("train", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_is_tried_again(site: Site, tmp_path: Path) -> None:
    site.cut = 2
    assert len(official("train", tmp_path)) == 4
    assert len(site.requests) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["ag_news_train.csv"]


def test_a_download_that_always_breaks_off_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.cut = 99
    with pytest.raises(DataError, match=r"cannot be downloaded from .*--data FILE.*--sample"):
        official("train", tmp_path)
    assert len(site.requests) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone_names_the_ways_out(site: Site, tmp_path: Path) -> None:
    site.files.clear()
    with pytest.raises(DataError, match=r"cannot be downloaded from .*404.*--data FILE.*--sample"):
        official("train", tmp_path)


def test_without_a_network_the_ways_out_are_named(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = replace(sources.OFFICIAL_FILES["train"], url=f"http://127.0.0.1:{free_port()}/train.csv")
    monkeypatch.setattr(sources, "OFFICIAL_FILES", {"train": nowhere})
    with pytest.raises(DataError, match=r"ConnectionError.*--data FILE.*--sample"):
        official("train", tmp_path)


def test_a_cache_that_cannot_be_written_names_the_ways_out(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"--data FILE.*--sample"):
        official("train", tmp_path / "file")


def test_a_file_changed_in_the_cache_is_fetched_again(site: Site, tmp_path: Path) -> None:
    """The checksum counts each time, not on the download alone."""
    official("train", tmp_path)
    (tmp_path / "ag_news_train.csv").write_bytes(TRAIN.replace(b"Oil", b"Gas"))
    assert official("train", tmp_path).titles[0] == "Oil hits \\$50"
    assert len(site.requests) == 2


def test_a_file_changed_in_the_cache_is_never_used(site: Site, tmp_path: Path) -> None:
    official("train", tmp_path)
    (tmp_path / "ag_news_train.csv").write_bytes(TRAIN.replace(b"Oil", b"Gas"))
    site.files.clear()
    with pytest.raises(DataError, match="cannot be downloaded"):
        official("train", tmp_path)


def test_the_official_files_are_pinned_by_commit_size_and_checksum() -> None:
    files = sources.OFFICIAL_FILES
    assert {part: (file.size, file.sha256[:8]) for part, file in files.items()} == {
        "train": (29_470_338, "76a0a2d2"),
        "test": (1_857_427, "521465c2"),
    }
    assert all("/555590db4219b1243abb1918effd6a7425a2d75f/" in file.url for file in files.values())
    assert Counter(len(file.sha256) for file in files.values()) == {64: 2}
