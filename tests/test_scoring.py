"""A CSV in, the same CSV with answers out."""

import csv
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AWKWARD
from textcnn import DataError, HeadlineClassifier, scoring
from textcnn.scoring import Scored, added_columns, score_csv
from textcnn.sources import Headlines

ADDED = [
    "predicted_label",
    "probability_Business",
    "probability_Sci/Tech",
    "probability_Sports",
    "probability_World",
    "unknown_share",
]


class Paths:
    """A source to write and the target to read."""

    def __init__(self, folder: Path, model: HeadlineClassifier) -> None:
        self.folder, self.model = folder, model
        self.source, self.target = folder / "in.csv", folder / "out.csv"

    def score(self, content: str | bytes, **settings: Any) -> Scored:
        self.source.write_bytes(content if isinstance(content, bytes) else content.encode())
        return score_csv(self.model, self.source, self.target, **settings)

    def rows(self) -> list[list[str]]:
        with self.target.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    def refused(self, match: str, content: str | bytes, **settings: Any) -> None:
        """The message, and nothing left beside the source."""
        with pytest.raises(DataError, match=match):
            self.score(content, **settings)
        assert os.listdir(self.folder) == ["in.csv"]


@pytest.fixture
def paths(tmp_path: Path, small_default: HeadlineClassifier) -> Paths:
    return Paths(tmp_path, small_default)


def test_each_row_gets_the_answers_of_predict(paths: Paths, sample: Headlines) -> None:
    scored = paths.score("title\n" + "".join(f'"{title}"\n' for title in sample.titles[:40]))
    assert scored == Scored(rows=40, blank_lines=0)
    header, *rows = paths.rows()
    assert header == ["title", *ADDED]
    assert added_columns(paths.model) == ADDED
    for row, prediction in zip(rows, paths.model.predict(sample.titles[:40]), strict=True):
        assert row[:2] == [prediction.title, prediction.label]
        shares = dict(zip(paths.model.classes, map(float, row[2:6]), strict=True))
        assert shares == pytest.approx(prediction.distribution, abs=1e-6)
        assert float(row[6]) == pytest.approx(prediction.unknown_share, abs=1e-3)


def test_all_columns_stay_in_their_order(paths: Paths) -> None:
    paths.score("id,title,note\n7,Oil up,x\n3,Goal,\n5,Oil up,ü\n")
    header, *rows = paths.rows()
    assert header == ["id", "title", "note", *ADDED]
    assert [row[:3] for row in rows] == [["7", "Oil up", "x"], ["3", "Goal", ""], ["5", "Oil up", "ü"]]


def test_quotes_commas_and_line_ends_come_back(paths: Paths) -> None:
    paths.score('title,n\n"Oil up, ""shares"" down","1\n2"\n')
    assert paths.rows()[1][:2] == ['Oil up, "shares" down', "1\n2"]


def test_a_lone_carriage_return_makes_no_second_row(paths: Paths) -> None:
    paths.score('title,n\n"Oil\rup","1\r"\n"Goal\r\nlate",2\n')
    assert [row[:2] for row in paths.rows()[1:]] == [["Oil\rup", "1\r"], ["Goal\r\nlate", "2"]]
    assert paths.target.read_bytes().count(b"\n") == 4  # the lines end as ever


def test_values_come_back_as_text(paths: Paths) -> None:
    """007 is no 7, NA is no missing value, 1.50 is no 1.5."""
    paths.score("id,title,x\n007,NA,1.50\n008,null, \n")
    assert [row[:3] for row in paths.rows()[1:]] == [["007", "NA", "1.50"], ["008", "null", " "]]


def test_columns_of_one_name_both_stay(paths: Paths) -> None:
    paths.score("x,title,x\n1,Oil up,2\n")
    assert paths.rows()[0][:3] == ["x", "title", "x"]
    assert paths.rows()[1][:3] == ["1", "Oil up", "2"]


def test_another_column_can_be_named(paths: Paths) -> None:
    paths.score("title,headline\nx,Oil up\n", column="headline")
    assert paths.rows()[1][2] == paths.model.predict("Oil up").label


def test_a_byte_order_mark_is_no_part_of_the_first_column(paths: Paths) -> None:
    paths.score("\ufefftitle\nOil up\n")
    assert paths.rows()[0][0] == "title"


def test_another_encoding_can_be_named(paths: Paths) -> None:
    paths.score("title\nCafé\n".encode("cp1252"), encoding="cp1252")
    assert paths.rows()[1][0] == "Café"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(paths: Paths, end: str) -> None:
    assert paths.score(end.join(["title", "Oil up", "Goal", ""])).rows == 2


def test_a_last_line_without_an_end_counts(paths: Paths) -> None:
    assert paths.score("title\nOil up\nGoal").rows == 2


def test_blank_lines_are_counted(paths: Paths) -> None:
    assert paths.score("title,n\n\nOil up,1\n\n\nGoal,2\n\n") == Scored(rows=2, blank_lines=4)
    assert [row[1] for row in paths.rows()[1:]] == ["1", "2"]


def test_an_empty_title_is_answered_as_unknown(paths: Paths) -> None:
    paths.score('title,n\n,1\n"",2\n"?!",3\n')
    assert [row[-1] for row in paths.rows()[1:]] == ["1.000"] * 3


def test_awkward_titles_come_back(paths: Paths) -> None:
    with paths.source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["title", "n"], *([title, i] for i, title in enumerate(AWKWARD))])
    score_csv(paths.model, paths.source, paths.target)
    assert [row[:2] for row in paths.rows()[1:]] == [[title, str(i)] for i, title in enumerate(AWKWARD)]


def test_awkward_titles_get_the_answers_of_predict_to_the_last_digit(
    bundled: HeadlineClassifier, tmp_path: Path
) -> None:
    """Without looking for the place of any word."""
    paths = Paths(tmp_path, bundled)
    with paths.source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["title"], *([title] for title in AWKWARD)])
    score_csv(bundled, paths.source, paths.target)
    for row, slow in zip(paths.rows()[1:], bundled.predict(AWKWARD), strict=True):
        probabilities = [f"{slow.distribution[name]:.6f}" for name in bundled.classes]
        assert row == [slow.title, slow.label, *probabilities, f"{slow.unknown_share:.3f}"]


def test_a_table_of_no_headlines_is_empty(small_default: HeadlineClassifier) -> None:
    probabilities, unknown_shares = small_default.predict_table([])
    assert probabilities.shape == (0, 4)
    assert unknown_shares.shape == (0,)


def test_progress_can_be_a_function_that_gets_the_share_done(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_CHUNK", 100)
    told: list[float] = []
    paths.score("title\n" + "Oil prices rise again\n" * 5_000, progress=told.append)
    assert len(told) > 5
    assert told == sorted(set(told))  # ever higher
    assert 0 < told[0] < 0.2
    assert told[-1] == 1


def test_the_share_done_ends_at_1_for_a_header_alone(paths: Paths) -> None:
    told: list[float] = []
    paths.score("title\n", progress=told.append)
    assert told == [1]


def test_a_column_can_be_given_by_its_place(paths: Paths) -> None:
    """Two may have one name, or none."""
    content = "title,,title\nx,y,Oil up\n"
    paths.refused("no column at place 3: there are 3, from 0", content, column=3)
    paths.score(content, column=2)
    assert paths.rows()[1][3] == paths.model.predict("Oil up").label


def test_messages_can_call_the_source_by_another_name(paths: Paths) -> None:
    """A server does not show its folders."""
    for content in ["", "n\n1\n", "title\nOil,1\n", "title\nCafé".encode("cp1252"), "title,unknown_share\n"]:
        paths.refused(r"^news\.csv\b", content, name="news.csv")


def test_a_header_alone_gives_a_header(paths: Paths) -> None:
    assert paths.score("title,n\n").rows == 0
    assert paths.rows() == [["title", "n", *ADDED]]


def test_few_rows_are_in_memory_at_a_time(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers do not depend on where a piece ends."""
    content = "title,n\n" + "".join(f"Oil {'x' * (n % 5)},{n}\n" for n in range(23))
    paths.score(content)
    at_once = paths.rows()
    sizes = []

    original = HeadlineClassifier.predict_table

    def predict_table(self: HeadlineClassifier, titles: list[str]) -> Any:
        sizes.append(len(titles))
        return original(self, titles)

    monkeypatch.setattr(scoring, "_CHUNK", 4)
    monkeypatch.setattr(HeadlineClassifier, "predict_table", predict_table)
    assert paths.score(content).rows == 23
    assert sizes == [4, 4, 4, 4, 4, 3]
    assert [row[:3] for row in paths.rows()] == [row[:3] for row in at_once]


def test_a_ragged_row_is_named_by_its_line(paths: Paths) -> None:
    """A file with half the answers would be taken for the whole."""
    paths.refused(
        r'in\.csv, line 4: 3 fields, the header has 2\. .*"Oil up, shares down"',
        "title,n\nOil,1\n\nOil up, shares down,2\nGoal,3\n",
    )


def test_a_short_row_is_named_by_its_line(paths: Paths) -> None:
    paths.refused(r"in\.csv, line 3: 1 fields, the header has 2", "title,n\nOil,1\nGoal\n")


def test_a_ragged_row_after_many_good_ones_leaves_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_CHUNK", 2)
    paths.refused("line 12: 3 fields", "title,n\n" + "Oil,1\n" * 10 + "a,b,c\n")


def test_a_missing_column_is_named_with_those_found(paths: Paths) -> None:
    paths.refused(
        r"in\.csv has no column title: found \['headline', 'n'\]\. Name one of them with --column",
        "headline,n\nOil,1\n",
    )


@pytest.mark.parametrize("name", ["predicted_label", "probability_World", "unknown_share"])
def test_a_column_with_the_name_of_an_answer_is_refused(paths: Paths, name: str) -> None:
    """As in a file that was scored before."""
    paths.refused(rf"in\.csv has the columns \['{name}'\] already: rename them", f"title,{name}\nOil,1\n")


def test_an_empty_file_says_so(paths: Paths) -> None:
    paths.refused(r"in\.csv is empty: a header", "")


def test_another_encoding_is_named(paths: Paths) -> None:
    paths.refused(r"in\.csv is not utf-8 text: byte 0xe9 .*--encoding", "title\nCafé au lait\n".encode("cp1252"))


def test_an_unknown_encoding_is_named(paths: Paths) -> None:
    paths.refused("klingon: give an encoding that Python knows", "title\nOil\n", encoding="klingon")


def test_an_open_quotation_mark_does_not_swallow_the_file(paths: Paths) -> None:
    """The rest of a large file would become one title."""
    paths.refused(r"in\.csv", 'title,n\n"Oil up,1\n' + "Goal,2\n" * 30_000)


def test_a_missing_source_is_named(paths: Paths) -> None:
    with pytest.raises(DataError, match=r"There is no file .*in\.csv"):
        score_csv(paths.model, paths.source, paths.target)
    assert os.listdir(paths.folder) == []


def test_a_folder_is_no_source(paths: Paths) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        score_csv(paths.model, paths.folder, paths.target)


def test_a_target_in_no_folder_is_named(paths: Paths) -> None:
    paths.target = paths.folder / "none" / "out.csv"
    paths.refused(r"There is no folder .*none to write out\.csv to", "title\nOil\n")


def test_a_target_that_is_a_folder_is_kept(paths: Paths) -> None:
    paths.target.mkdir()
    (paths.target / "x").write_text("mine")
    with pytest.raises(DataError, match=r"out\.csv is no plain file"):
        paths.score("title\nOil\n")
    assert sorted(os.listdir(paths.folder)) == ["in.csv", "out.csv"]
    assert (paths.target / "x").read_text() == "mine"


@pytest.mark.parametrize("spelling", ["same", "link", "hard link", "dots"])
def test_the_source_is_never_overwritten(paths: Paths, spelling: str) -> None:
    paths.source.write_text("title\nOil\n")
    if spelling == "same":
        paths.target = paths.source
    elif spelling == "link":
        paths.target.symlink_to(paths.source)
    elif spelling == "hard link":
        os.link(paths.source, paths.target)
    else:
        paths.target = paths.folder / ".." / paths.folder.name / "in.csv"
    with pytest.raises(DataError, match="would be overwritten by its own answers"):
        paths.score("title\nOil\n")
    assert paths.source.read_text() == "title\nOil\n"


def test_what_is_no_plain_file_is_not_replaced(paths: Paths) -> None:
    """`score in.csv /dev/null`, run by an administrator, must not put a file in the place of the device."""
    os.mkfifo(paths.target)
    with pytest.raises(DataError, match=re.escape("out.csv")):
        paths.score("title\nOil\n")
    assert paths.target.is_fifo()


def test_an_earlier_target_is_replaced(paths: Paths) -> None:
    paths.target.write_text("old")
    paths.score("title\nOil\n")
    assert paths.rows()[0] == ["title", *ADDED]
    assert sorted(os.listdir(paths.folder)) == ["in.csv", "out.csv"]


@pytest.mark.parametrize(
    "error", [DataError("wrong"), KeyboardInterrupt(), OSError(28, "No space left on device")], ids=repr
)
def test_an_earlier_target_stays_if_scoring_fails(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    paths.target.write_text("old")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(HeadlineClassifier, "predict_table", fail)
    with pytest.raises(DataError if isinstance(error, OSError) else type(error)):
        paths.score("title\nOil\n")
    assert paths.target.read_text() == "old"
    assert sorted(os.listdir(paths.folder)) == ["in.csv", "out.csv"]


def test_the_target_can_be_read_by_whoever_may_read_new_files(paths: Paths) -> None:
    """A temporary file is its maker's alone."""
    mask = os.umask(0o027)
    try:
        paths.score("title\nOil\n")
    finally:
        os.umask(mask)
    assert paths.target.stat().st_mode & 0o777 == 0o640
