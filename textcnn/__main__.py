"""`python -m textcnn "headline"`, `python -m textcnn score in.csv out.csv`, `python -m textcnn export model.onnx`."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from textcnn.classifier import HeadlineClassifier, Prediction
from textcnn.errors import TextCNNError
from textcnn.explain import Explanation
from textcnn.scoring import score_csv

BUNDLED = Path(__file__).parent.parent / "artifacts" / "default"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 for a mistake in the input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = _command(words)
    options = _PARSERS[command]().parse_args(words[1:] if command else words)
    try:
        model = HeadlineClassifier.from_pretrained(options.model)
        if command == "score":
            _score(model, options)
        elif command == "export":
            from textcnn.export import export_onnx  # heavy, and needed here alone

            print(f"The network as ONNX: {export_onnx(model, options.target)}")
        else:
            headline = " ".join(options.headline)
            say(bars(model.predict(headline)))
            if options.explain:
                say("\n" + word_table(model.explain(headline, left_out=True)))
        sys.stdout.flush()  # here, where a reader that has gone is no error
    except TextCNNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output closed it early, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _command(words: Sequence[str]) -> str:
    """The command that the words begin with; a headline may begin with the same word."""
    if len(words) > 1 and words[0] == "score":
        return "score"
    if len(words) > 1 and words[0] == "export" and words[1].endswith(".onnx"):
        return "export"
    return ""


def _score(model: HeadlineClassifier, options: argparse.Namespace) -> None:
    scored = score_csv(
        model, options.source, options.target,
        column=options.column, encoding=options.encoding, progress=sys.stderr.isatty(),
    )  # fmt: skip
    blank = f" ({scored.blank_lines} blank lines passed over)" if scored.blank_lines else ""
    print(f"{scored.rows:,} headlines classified{blank}: {options.target}")


def say(text: str) -> None:
    """Print text, with plain signs where the terminal's encoding has no others."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("█", "#").encode(encoding, errors="replace").decode(encoding)
    print(text)


def bars(prediction: Prediction) -> str:
    """Return the distribution as bars for a terminal, with a word on what the model does not know."""
    names = max(map(len, prediction.distribution))
    room = max(10, min(40, shutil.get_terminal_size().columns - names - 10))
    lines = [
        f"{name:<{names}}  {probability:6.1%}  {'█' * round(probability * room)}".rstrip()
        for name, probability in prediction.distribution.items()
    ]
    if prediction.doubt:
        lines.append(prediction.doubt)
    if prediction.unknown:
        unknown = ", ".join(dict.fromkeys(token.text for token in prediction.unknown))
        lines.append(f"Words the model does not know: {unknown}")
    return "\n".join(lines)


def word_table(explanation: Explanation) -> str:
    """Return a table for a terminal: what each word pushed, and what changes if it is left out."""
    label, class_ = explanation.label, explanation.class_index()
    assert explanation.left_out is not None
    typed = [explanation.title[token.start : token.end] for token in explanation.tokens]
    width = max(map(len, [*typed, "bias"]))
    rows = [
        f"{word:<{width}}  {pushed:+10.2f}  {change:+14.1%}"
        for word, pushed, change in zip(
            typed, explanation.contributions[class_], explanation.left_out[class_], strict=True
        )
    ]
    return "\n".join(
        [
            explanation.in_words(),
            f"{'':<{width}}  {'pushed':>10}  {'if left out':>14}   ({label})",
            *rows,
            f"{'bias':<{width}}  {explanation.bias[class_]:+10.2f}",
        ]
    )


def _headline_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m textcnn",
        description="Say how likely a headline is Business, Sci/Tech, Sports or World.",
        epilog="To classify a file: python -m textcnn score in.csv out.csv. "
        "To take the network elsewhere: python -m textcnn export model.onnx",
    )
    parser.add_argument("headline", nargs="+", help="the headline, with or without quotation marks")
    parser.add_argument("--explain", action="store_true", help="also say what each word pushed")
    _add_model(parser)
    return parser


def _score_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m textcnn score", description="Classify one column of a CSV and keep all the others."
    )
    parser.add_argument("source", type=Path, help="a CSV with a header")
    parser.add_argument("target", type=Path, help="where to write the rows with the answers beside them")
    parser.add_argument("--column", default="title", help="the column with the headlines (default: title)")
    parser.add_argument("--encoding", default="utf-8-sig", help="of the source (default: UTF-8)")
    _add_model(parser)
    return parser


def _export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m textcnn export",
        description="Write the network as an ONNX file: token indices to probabilities.",
    )
    parser.add_argument("target", type=Path, help="where to write, for example model.onnx")
    _add_model(parser)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=BUNDLED, help="artifact folder (default: the bundled one)")


_PARSERS = {"": _headline_parser, "score": _score_parser, "export": _export_parser}

if __name__ == "__main__":
    sys.exit(main())
