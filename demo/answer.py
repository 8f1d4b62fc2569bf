"""The answer to a query as HTML: how likely each class is, the headline with its words tinted, the heat map."""

import html
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import urlencode

from demo.links import Query
from demo.models import Models
from textcnn import Explanation
from textcnn.plots import alternative_text, picture_size
from textcnn.text import doubt, shorten

__all__ = ["answer", "difference", "in_words"]

_PIXELS = 96  # of an inch, on a page
_READABLE = 62  # pixels of an inch at which a picture's words can still be read: a wider one scrolls in its own box
_AG_NEWS = {"Business", "Sci/Tech", "Sports", "World"}
_AFTER = (
    '<p class="take"><button type="button" class="copy">Copy the link to this answer</button></p>'
    '<p class="reading">Each column of the map is a word, each row a filter of the network, named by the words of the '
    "training headlines that fire it most. A colour says how strongly the filter fired there; a frame marks the window "
    "that won, which alone counts. The strip above the map says how much each word pushed for the class, the bars on "
    "its right how much each filter did. The model always answers with one of its {count} classes{learned}.</p>"
)


def answer(models: Models, query: Query, source: str = "visitor") -> str:
    """Return the answer as HTML.

    Args:
        models: the models served.
        query: what was asked.
        source: what asked: "page" for the answer it opens with, "link", or "visitor", whose answers get an entry of
            the browser's history.

    Raises:
        DataError: no such model or class.
    """
    explain = models[query.model].classifier.explain
    shown = [(query, explain(query.headline, left_out=True))]
    if query.versus is not None and query.versus != query.headline:
        kept = Query(query.versus, query.target, query.model)
        shown.insert(0, (kept, explain(kept.headline, left_out=True)))
    reach = max(explanation.push_scale(query.target) for _, explanation in shown) if len(shown) == 2 else None
    alone, after = reach is None, _after(shown[-1][1].classes)
    sides = [_side(models, one, explanation, reach, after if alone else "") for one, explanation in shown]
    between = "" if alone else f'<p class="between">{html.escape(difference(shown[0][1], shown[1][1]))}</p>'
    warning = query.warning(models)
    notice = f'<p class="notice">{html.escape(warning)}</p>' if warning else ""
    link, title = html.escape(query.link(models)), html.escape(_title(shown[-1][1]))
    return (
        f'<section class="answer count-{len(sides)}" data-link="{link}" data-title="{title}" '
        f'data-source="{source}">{notice}{between}<div class="sides">{"".join(sides)}</div>{"" if alone else after}'
        "</section>"
    )


def _after(classes: Sequence[str]) -> str:
    """What stands after an answer: the link, and how to read the map."""
    count = {2: "two", 3: "three", 4: "four", 5: "five"}.get(len(classes), str(len(classes)))
    learned = ", and it learned its words from the news of 2004" if set(classes) == _AG_NEWS else ""
    return _AFTER.format(count=count, learned=learned)


def _title(explanation: Explanation) -> str:
    label = explanation.label
    return f"{label}, {explanation.distribution[label]:.0%}: {explanation.title}"


def _side(models: Models, query: Query, explanation: Explanation, reach: float | None, after: str) -> str:
    """One headline's answer; two stand side by side on one scale, `reach`."""
    classes = list(explanation.classes) if reach else list(explanation.distribution)
    values = ",".join(f"{explanation.distribution[name]:.9f}" for name in classes)
    return (
        f'<div class="side" data-values="{values}"><div class="words-and-bars">'
        f'<p class="said" role="status">{in_words(explanation, query.target)}</p>'
        f"{_bars(explanation, classes)}"
        f'<p class="headline">{_words(explanation, query.target, classes, reach)}</p>'
        f"{_legend(explanation.classes[explanation.class_index(query.target)])}"
        '<p class="whatif" aria-live="polite">Leave a word out: click it.</p>'
        f"{after}</div>"
        f"{_picture(models, query, explanation, reach)}</div>"
    )


def in_words(explanation: Explanation, target: str | None = None) -> str:
    """Return the answer in a few sentences as HTML, with the words that the model does not know."""
    label = explanation.label
    parts = [f"<strong>{html.escape(label)}</strong>, {explanation.distribution[label]:.0%}."]
    said = doubt(explanation.tokens)
    if said:
        parts.append(f'<span class="doubt">{said}</span>')
    if explanation.tokens:
        parts.append(html.escape(explanation.in_words(target)))
    unknown = list(
        dict.fromkeys(explanation.title[token.start : token.end] for token in explanation.tokens if not token.known)
    )
    if len(unknown) > 8:
        parts.append(f"The model does not know {len(unknown)} of these words, among them {_listed(unknown[:8])}.")
    elif unknown:
        parts.append(f"The model does not know {_listed(unknown)}.")
    return " ".join(parts)


def _listed(words: Sequence[str]) -> str:
    """Words as HTML, each cut to a length that fits a line."""
    return ", ".join(f"<em>{html.escape(shorten(word))}</em>" for word in words)


def _bars(explanation: Explanation, classes: Sequence[str]) -> str:
    rows = []
    for name in classes:
        share = explanation.distribution[name]
        first = ' class="first"' if name == explanation.label else ""
        rows.append(
            f'<tr{first}><th scope="row">{html.escape(name)}</th><td class="track" aria-hidden="true">'
            f'<span style="width:{share:.4%}"></span></td><td class="share">{share:.1%}</td></tr>'
        )
    return f'<table class="bars"><caption>How likely each class is</caption><tbody>{"".join(rows)}</tbody></table>'


def _words(explanation: Explanation, target: str | None, classes: Sequence[str], reach: float | None) -> str:
    """The headline as typed; each word is a button that leaves it out."""
    class_ = explanation.class_index(target)
    pushed, name = explanation.contributions[class_], explanation.classes[class_]
    reach = reach or explanation.push_scale(target)
    parts = []
    for text, places in explanation.pieces():
        if not places:
            parts.append(f'<span class="unread">{html.escape(text)}</span>' if text.strip() else html.escape(text))
            continue
        push = float(pushed[list(places)].sum())
        kinds = ["word", "for" if push > 0 else "against"]
        said = f"{push:+.2f} for {name}"
        if not all(explanation.tokens[place].known for place in places):
            kinds.append("unknown")
            said += "; the model does not know this word"
        tint = f"--tint:{min(1.0, abs(push) / reach):.0%}"
        without = _without(explanation, places[0], text, classes) if len(places) == 1 else "disabled"
        parts.append(
            f'<button type="button" class="{" ".join(kinds)}" style="{tint}" title="{html.escape(said)}" '
            f'aria-pressed="false" {without}>{html.escape(text)}</button>'
        )
    return "".join(parts)


def _without(explanation: Explanation, token: int, text: str, classes: Sequence[str]) -> str:
    """Attributes of a word's button: the exact probabilities of the headline without it, and what to say of them."""
    assert explanation.left_out is not None
    left = {
        name: min(1.0, max(0.0, explanation.distribution[name] + float(change)))
        for name, change in zip(explanation.classes, explanation.left_out[:, token], strict=True)
    }
    label, winner = explanation.label, max(left, key=left.__getitem__)
    said = f"Without “{shorten(text)}”: {label} {left[label]:.1%} instead of {explanation.distribution[label]:.1%}"
    said += "." if winner == label else f", and {winner} would be ahead with {left[winner]:.1%}."
    values = ",".join(f"{left[name]:.9f}" for name in classes)
    return f'data-without="{values}" data-said="{html.escape(said)}"'


def _legend(name: str) -> str:
    return (
        f'<p class="legend"><span class="key for">for {html.escape(name)}</span> <span class="key against">against'
        '</span> <span class="key unknown">not known</span> <span class="unread">not read</span></p>'
    )


def _picture(models: Models, query: Query, explanation: Explanation, reach: float | None) -> str:
    """The heat map in both themes, of which the page's one is loaded, and the ways to take it along."""
    asked = {
        "headline": query.headline,
        "class": explanation.classes[explanation.class_index(query.target)],
        "model": f"{query.model}-{models.hashes[query.model]}",
    }
    if reach:
        asked["reach"] = f"{reach:.4f}"
    wide, high = (_PIXELS * inches for inches in picture_size(explanation, target=query.target))
    alternative = html.escape(alternative_text(explanation, target=query.target))
    pictures = "".join(
        f'<img class="only-{style}" src="{_href("picture.png", asked, style)}" alt="{alternative}" '
        f'width="{wide:.0f}" height="{high:.0f}" loading="lazy" '
        f'style="min-width:{wide / _PIXELS * _READABLE:.0f}px">'
        for style in ("light", "dark")
    )
    name = "heat-map"
    takes = "".join(
        f'<a class="only-{style}" download="{name}.{kind}" href="{_href(f"picture.{kind}", asked, style)}">'
        f"{kind.upper()}</a>"
        for kind in ("png", "svg")
        for style in ("light", "dark")
    )
    explained = _href("explanation.json", asked)
    return (
        f'<figure class="map"><div class="scroll" tabindex="0" role="group" aria-label="Heat map">{pictures}</div>'
        f'<figcaption class="take">Download: {takes}<a download="explanation.json" href="{explained}">JSON</a>'
        "</figcaption></figure>"
    )


def _href(path: str, asked: dict[str, str], style: str | None = None) -> str:
    return html.escape(f"{path}?{urlencode(asked | ({'style': style} if style else {}))}")


def difference(kept: Explanation, now: Explanation) -> str:
    """Say in a sentence or two what made two answers differ: the word whose push for the second class changed most."""
    name = now.label
    parts = [_by_word(explanation, name) for explanation in (kept, now)]
    gaps = {word: parts[1].get(word, 0.0) - parts[0].get(word, 0.0) for word in (*parts[0], *parts[1])}
    shares = f"{name}: {kept.distribution[name]:.0%} before, {now.distribution[name]:.0%} now."
    if not gaps or not any(gaps.values()):
        return f"{shares} Their words push alike."
    word = max(gaps, key=lambda word: abs(gaps[word]))
    if word not in parts[0]:
        made = f"pushed {parts[1][word]:+.1f} now and was not there before"
    elif word not in parts[1]:
        made = f"pushed {parts[0][word]:+.1f} before and is not there now"
    else:
        made = f"pushed {parts[0][word]:+.1f} before and {parts[1][word]:+.1f} now"
    return f"{shares} “{shorten(word)}” made most of the difference: it {made}."


def _by_word(explanation: Explanation, name: str) -> dict[str, float]:
    """What each distinct word pushed for a class."""
    total: defaultdict[str, float] = defaultdict(float)
    for token, push in zip(explanation.tokens, explanation.contributions[explanation.class_index(name)], strict=True):
        total[token.text] += float(push)
    return dict(total)
