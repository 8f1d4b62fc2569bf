"""The command line: a headline, or a file of them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from textcnn import HeadlineClassifier
from textcnn.__main__ import bars, main


@pytest.fixture(scope="module")
def model(small_default: HeadlineClassifier, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_default.save_pretrained(tmp_path_factory.mktemp("main") / "model"))


def run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-m", "textcnn", *arguments], capture_output=True, cwd=ROOT)


def test_a_headline_gives_a_bar_for_each_class(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Oil prices hit record high", "--model", model]) == 0
    lines = capsys.readouterr().out.splitlines()[:4]
    assert sorted(line.split()[0] for line in lines) == ["Business", "Sci/Tech", "Sports", "World"]
    shares = [float(line.split()[1].rstrip("%")) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    lengths = [line.count("█") for line in lines]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 0


def test_quotation_marks_may_be_left_out(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["Oil prices rise", "--model", model])
    quoted = capsys.readouterr().out
    main(["Oil", "prices", "rise", "--model", model])
    assert capsys.readouterr().out == quoted


def test_unknown_words_are_named_once(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["Zxqv oil zxqv qqqq", "--model", model])
    assert capsys.readouterr().out.splitlines()[-1] == "Words the model does not know: zxqv, qqqq"


def test_known_words_get_no_remark(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["oil", "--model", model])
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_nothing_to_read_is_said(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["?!", "--model", model]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("There is no word to read")


def test_explain_says_what_each_word_pushed_and_what_changes_without_it(
    model: str, small_default: HeadlineClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "Oil prices zxqv"
    assert main([*title.split(), "--explain", "--model", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    explanation = HeadlineClassifier.from_pretrained(model).explain(title, left_out=True)
    class_ = explanation.class_index()
    table = [line.split() for line in lines[-4:]]
    assert [row[0] for row in table] == ["Oil", "prices", "zxqv", "bias"]
    pushed = [float(row[1]) for row in table]
    assert pushed == pytest.approx([*explanation.contributions[class_], explanation.bias[class_]], abs=0.006)
    changes = [float(row[2].rstrip("%")) / 100 for row in table[:3]]
    assert changes == pytest.approx(explanation.left_out[class_], abs=0.0006)
    assert explanation.in_words() in lines


def test_bars_fit_a_narrow_terminal(small_default: HeadlineClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert max(len(line) for line in bars(small_default.predict("oil")).splitlines()) <= 40


def test_the_word_score_alone_is_a_headline(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textcnn.__main__.BUNDLED", Path(model))
    assert main(["score"]) == 0
    assert capsys.readouterr().out.count("%") == 4


def test_a_headline_that_starts_with_a_dash_and_has_spaces(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-5 degrees in Moscow", "--model", model]) == 0
    assert "%" in capsys.readouterr().out


def test_a_wrong_model_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Oil", "--model", str(tmp_path / "none")]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: There is no artifact folder")
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["Oil", "--modle", "x"], ["score", "in.csv"]])
def test_a_wrong_call_shows_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: python -m textcnn" in capsys.readouterr().err


def test_help_tells_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "python -m textcnn score in.csv out.csv" in capsys.readouterr().out


def test_a_file_is_scored(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_bytes("id,headline\n1,Café opens\n\n2,Goal\n".encode("cp1252"))
    arguments = ["score", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), "--column", "headline"]
    assert main([*arguments, "--encoding", "cp1252", "--model", model]) == 0
    output = capsys.readouterr()
    assert output.out == f"2 headlines classified (1 blank lines passed over): {tmp_path / 'out.csv'}\n"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith("id,headline,predicted_label,probability_Bus")


def test_a_file_that_cannot_be_scored_is_one_line_and_status_2(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(tmp_path / "none.csv"), str(tmp_path / "out.csv"), "--model", model]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: There is no file")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_an_output_without_block_characters_gets_an_answer(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows writes cp1252 to a file or a pipe."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252", write_through=True))
    assert main(["Oil prices rise", "--model", model]) == 0
    assert written.getvalue().count(b"%") == 4


# As a program


def test_the_program_answers(model: str) -> None:
    done = run("Oil prices hit record high", "--model", model)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.decode().splitlines()) >= 4


def test_the_program_fails_with_status_2(tmp_path: Path) -> None:
    done = run("Oil", "--model", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: There is no artifact folder")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_stops_early_is_no_error(model: str) -> None:
    """`python -m textcnn ... | head -0`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-m", "textcnn", "Oil", "--model", model],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (0, b"")
