"""The part of report.py that puts serve.json into words."""

from typing import Any

from common import measured_on

START_S, GROWTH_MB = 5.0, 50.0  # what was aimed at
WITHIN_MS = {"p50": 80.0, "p95": 1_000.0}  # alone, and among many users


def serve(result: dict[str, Any]) -> str:
    """The figures beside what was aimed at, then what happens beyond."""
    lines = ["| | measured | aimed at | |", "|---|---|---|---|", *rows(result), ""]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in sentences(result)), "", conditions(result)])


def rows(result: dict[str, Any]) -> list[str]:
    """The lines of the table."""
    users, memory, identical = (result[part] for part in ("users", "memory", "identical"))
    first, alone, together = result["start"]["first_answer_s"]["median"], result["one"]["explain"], users["together"]
    cut = sum(identical[way]["cut"] for way in ("client", "explain", "picture"))
    everyone = f"{users['users']} users, a new headline every {users['every_s']:g} s each: 95 % answered within"
    equal = f"cut pictures of {identical['at_once']} equal requests at one moment, {3 * identical['rounds']} times"
    gained, gone = memory["growth_mb"], lost(together)
    return [
        row("from a new process to the first answer with its picture", f"{first:.1f} s", *below(first, START_S, "s")),
        row("one request alone: prediction, explanation, picture", milliseconds(alone, "p50"), *within(alone, "p50")),
        row(everyone, milliseconds(together, "p95"), *within(together, "p95")),
        row(f"errors and cut pictures among these {together['requests']:,}", str(gone), "0", verdict(gone == 0)),
        row(
            f"memory gained over {memory['requests']:,} requests",
            f"{gained:,.0f} MB",
            *below(gained, GROWTH_MB, "MB"),
        ),
        row(equal, str(cut), "0", verdict(cut == 0)),
    ]


def sentences(result: dict[str, Any]) -> list[str]:
    """What stands behind the table, and what happens beyond it."""
    start, one, users, saturation, memory = (result[part] for part in ("start", "one", "users", "saturation", "memory"))
    picture_mb = users["written"]["mb"] / max(1, users["written"]["files"])
    return [
        f"A new process: `/health` answers after {start['healthy_s']['median']:.1f} s. In a process of their own, "
        f"importing takes {start['import_s']['median']:.1f} s, reading the models {start['models_s']['median']:.2f} s, "
        f"laying out the page {start['page_s']['median']:.2f} s.",
        f"One request alone: `picture.png` {both(one['picture'])}, `/explain` with its picture {both(one['explain'])}, "
        f"a visit (`/explain`, then `picture.png` of the same headline) {both(one['visit'])}, the page's own button "
        f"with its picture {both(one['page'])}.",
        f"The {users['users']} users: half with gradio_client, {three(users['client'])}; half over plain HTTP, each a "
        f"visit, {three(users['http'])}; together {three(users['together'])}. Time counts from when a request was due.",
        f"Without a pause it answers at most {saturation['visits_a_second']:.1f} visits a second, which "
        f"{counted(saturation['reached_by_workers'], 'visitor')} at a time nearly reach "
        f"({milliseconds({'ms': saturation['ms_there']}, 'p50')} each); more only wait longer: {waits(saturation)}.",
        *(crowded(name, of) for name, of in saturation["bursts"].items()),
        f"Memory: {memory['fresh_mb']:,.0f} MB before the first request, {memory['before_mb']:,.0f} MB after "
        f"{memory['warm_up']:,}, {memory['after_mb']:,.0f} MB after {memory['requests']:,} more. Each `/explain` "
        f"leaves a picture of {picture_mb:.2f} MB on the disk, for about a quarter of an hour.",
    ]


def crowded(name: str, of: dict[str, Any]) -> str:
    """What a crowd at one moment gets."""
    address = {"explain": "`/explain`", "picture": "`picture.png`"}[name]
    refusals = f" (“{of['refusals_said'][0]}”)" if of["refusals_said"] else ""
    waited = f", the last after {of['ms']['maximum'] / 1e3:.1f} s" if of["ms"] else ""
    return (
        f"{of['requests']:,} at one moment for {address}: {of['answers']:,} are answered{waited}, {of['refused']:,} "
        f"refused with a message{refusals}, {of['errors']:,} fail otherwise, {of['hung']:,} hang."
    )


def conditions(result: dict[str, Any]) -> str:
    """How it was measured."""
    starts, threads = result["start"]["first_answer_s"]["repeats"], result["server_threads"]
    load = result["load_before"]
    beside = f" Other work ran beside it (a load of {load:.1f} before it began), so take the times as upper bounds."
    held = f", OMP_NUM_THREADS={threads}" if threads else ""
    return (
        f"Medians, of {starts} starts and {result['one']['picture']['requests']:,} requests; no two headlines are the "
        "same but where it says so, and every picture is decoded to its last line. Who asks runs on the same cores as "
        f"the demo and takes its part of them; {measured_on(result)}, "
        f"gradio {result['machine']['versions']['gradio']}{held} (`python benchmarks/serve.py`)."
        + (beside if load > 0.5 else "")
    )


def row(*cells: str) -> str:
    """A line of the table."""
    return f"| {' | '.join(cells)} |"


def below(value: float | None, aim: float, unit: str) -> tuple[str, str]:
    """What was aimed at, and whether it was reached."""
    return f"at most {aim:,.0f} {unit}", verdict(value is not None and value <= aim)


def within(of: dict[str, Any], share: str) -> tuple[str, str]:
    """The same of a percentile."""
    return below(of["ms"][share] if of["ms"] else None, WITHIN_MS[share], "ms")


def verdict(reached: bool) -> str:
    """Whether an aim was reached, in a word."""
    return "reached" if reached else "**missed**"


def lost(of: dict[str, Any]) -> int:
    """How many requests had no whole picture."""
    return int(of["requests"] - of["whole_pictures"])


def milliseconds(of: dict[str, Any], share: str) -> str:
    """A percentile in milliseconds, in words where nothing was answered."""
    return f"{of['ms'][share]:,.0f} ms" if of["ms"] else "no answer"


def both(of: dict[str, Any]) -> str:
    """Median and 95th percentile."""
    return f"{milliseconds(of, 'p50')} (95 % within {milliseconds(of, 'p95')})"


def three(of: dict[str, Any]) -> str:
    """Median, 95th and 99th percentile."""
    if not of["ms"]:
        return "no answer"
    return " / ".join(f"{of['ms'][share]:,.0f}" for share in ("p50", "p95", "p99")) + " ms (median, 95 %, 99 %)"


def waits(saturation: dict[str, Any]) -> str:
    """The median time at each number of visitors at a time."""
    return ", ".join(f"{milliseconds(of, 'p50')} with {of['workers']}" for of in saturation["levels"])


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
