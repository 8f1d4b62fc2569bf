"""The part of report.py that puts speed.json into words."""

from typing import Any

from common import amount, measured_on

SPEED_NAMES = {
    "default": "textcnn, preset `default`",
    "default, one thread": "the same, held to one thread",
    "default, predict with words and places": "the same, `predict` with words and places",
    "fasttext": "fastText",
    "fasttext, titles cleaned beforehand": "fastText, titles cleaned beforehand",
    "linear-svc-words-characters": "LinearSVC of words and characters",
}


def speed(result: dict[str, Any]) -> str:
    """The models' speeds in a table, and where the time goes."""
    of, training, step = result["prediction"], result["training"], result["step"]
    ratios = of["times_as_fast"]
    lines = ["| | one headline, µs | `default` is | many, headlines a second | `default` is |", "|---|---|---|---|---|"]
    for name, shown in SPEED_NAMES.items():
        single, batch = of["single_us"][name]["median"], of["batch_headlines_a_second"][name]["maximum"]
        times = ["" if name == "default" else compared(ratios[way][name]["median"]) for way in ("single", "batch")]
        lines.append(f"| {shown} | {amount(single)} | {times[0]} | {batch:,.0f} | {times[1]} |")
    lesson = training["lesson"]
    beside = (
        ""
        if lesson is None
        else f" An epoch of the lesson's code takes {amount(lesson['times_as_fast']['lesson'])} times as long as one "
        f"of the preset `lesson`, {amount(lesson['times_as_fast']['default'])} times as long as one of `default`."
    )
    cold, shares = result["cold_start"], result["cold_start"]["import_shares"]
    lines += [
        "",
        f"- Training: `train.py` takes {training['seconds']:.0f} s from a CSV of {result['data']['rows']:,} titles to "
        f"saved artifacts, measuring and refit included; an epoch passes "
        f"{training['epoch_headlines_a_second']:,.0f} headlines a second.{beside}",
        f"- A training step reaches {step['fraction_of_limit']['median']:.0%} of the speed of bare float32 products of "
        f"matrices with the same multiply-adds. Its time: {parts(step['shares'])}.",
        f"- A list of {of['batch_headlines']['default']:,}: {parts(of['batch_shares'])}. An explanation takes "
        f"{result['explanation_ms']['median']:.2f} ms.",
        f"- A new process has its first prediction after {cold['seconds']['median']:.1f} s: import "
        f"{cold['import_s']['median']:.1f} s ({shares['torch']:.0%} of it torch, {shares['nltk']:.0%} NLTK), loading "
        f"{cold['load_s']['median']:.2f} s.",
        *growth(result["growth"]),
        "",
        f"Medians of {of['single_us']['default']['repeats']} turns, the best of them for lists; {measured_on(result)}, "
        f"torch on {result['machine']['torch_threads']} of them (`python benchmarks/speed.py`).",
    ]
    return "\n".join(lines)


def picture(result: dict[str, Any]) -> str:
    """How long the heat map takes."""
    ms = {name: times["median"] for name, times in result["milliseconds"].items()}
    return (
        f"The map of {result['tokens']} words and {result['filters']} filters takes {ms['heat map, PNG']:.0f} ms as a "
        f"PNG, {result['times_a_bare_imshow']:.2f} times what a bare `imshow` of the same size takes; prediction and "
        f"explanation before it {ms['explain']:.1f} ms. Medians of turns; {measured_on(result)} "
        "(`python benchmarks/picture.py`)."
    )


def growth(of: dict[str, Any]) -> list[str]:
    """How time and memory grow."""
    headlines, words = of["headlines"], of["vocabulary"]
    (first, last), (least, most) = ((rows[0], rows[-1]) for rows in (headlines["rows"], words["rows"]))
    times = ", ".join(f"{value:.1f}" for value in headlines["times_a_tenfold"]["seconds"])
    more = ", ".join(f"{value:.1f}" for value in words["times_a_tenfold"]["seconds"])
    return [
        f"- Ten times the headlines, from {first['headlines']:,} to {last['headlines']:,}, take {times} times as long; "
        f"{last['headlines']:,} take {last['seconds']['median']:.1f} s and {last['added_mb']:,.0f} MB more memory.",
        f"- Ten times the vocabulary, from {least['words']:,} to {most['words']:,} words drawn evenly, takes {more} "
        f"times as long for {most['headlines']:,} headlines, and one headline {amount(least['single_us'])} µs and "
        f"{amount(most['single_us'])} µs; the embedding grows from {amount(least['embedding_mb'])} to "
        f"{amount(most['embedding_mb'])} MB.",
    ]


def compared(ratio: float) -> str:
    """How many times as fast, or as slow."""
    return f"{amount(ratio)} times as fast" if ratio >= 1 else f"{amount(1 / ratio)} times as slow"


def parts(shares: dict[str, float]) -> str:
    """Shares in words, the largest first."""
    ranked = sorted(shares.items(), key=lambda share: (share[0] == "rest", -share[1]))
    return ", ".join(f"{name} {share:.0%}" for name, share in ranked)
