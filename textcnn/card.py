"""The model card: README.md of an artifact folder, written from performance.json and the configuration.

Its front matter is what the Hugging Face Hub reads; huggingface_hub writes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textcnn.config import Config
from textcnn.filters import EDGE, FilterSummary

__all__ = ["model_card"]

AG_NEWS = "sh0416/ag_news"  # on the Hub, with titles and descriptions apart
_AG_TERMS = {
    "license": "other",
    "license_name": "ag-news-research-non-commercial",
    "license_link": "http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
}
VECTOR_TERMS = {"sentence-transformers/all-MiniLM-L6-v2": "Apache-2.0"}
_FLAGS = {"sample": " --sample", "csv": " --data FILE"}
_SOURCES = {
    "AG News train": (
        "the official AG News training titles (Zhang et al. 2015). AG's corpus of news articles is offered for "
        "research and other non-commercial use, and what was learned from it carries these terms"
    ),
    "sample": "the invented sample headlines that ship with textcnn: enough to try the pipeline, not to use the model",
    "csv": "a CSV of its maker's own",
}


def model_card(
    config: Config,
    performance: Mapping[str, Any],
    *,
    filters: Sequence[FilterSummary] = (),
    repo: str | None = None,
    space: str | None = None,
) -> str:
    """Return the text of the model card.

    Args:
        config: how the model was made.
        performance: the content of performance.json; under "about" a sentence on where the headlines come from and
            under which terms (data), sentences on how the model compares (results), the Hub id of the dataset.
        filters: what each filter looks for.
        repo: Hub id that the model is published under.
        space: Hub id of the Space whose repository the library is installed from; by default `repo`.
    """
    data, shipped = performance["data"], performance["shipped"]
    about = performance.get("about", {})
    origin = about.get("data") or _SOURCES.get(data["origin"], data["origin"]) + "."
    classes = ", ".join(data["classes"])
    return f"""---
{_front_matter(config, performance, about.get("dataset"))}
---

# textcnn: headline classifier, preset `{config.preset}`

A convolutional network that reads a news headline and says how likely it is {classes}. It explains each answer exactly:
which words fired which filters, and how much each word moved each class.

## Use

{_installation(space or repo)}```python
from textcnn import HeadlineClassifier

model = HeadlineClassifier.from_pretrained("{repo or "path/to/this/folder"}")
print(model.predict("Stocks slide as oil prices hit a new high").distribution)
explanation = model.explain("Stocks slide as oil prices hit a new high")
print(explanation.in_words())
```

## Training data and terms

Learned from {data["kept"]:,} headlines (sha256 of the file `{data["sha256"]}`): {origin}

{_vectors(config)}Rows read: {data["rows"]:,}. Dropped: {_counts(data["dropped"])}. Classes: {_counts(data["classes"])}.

## Results

{_measured(performance)}

{_table(performance)}

{_calibration(performance)}
{about.get("results") or ""}

## What ships

{_shipped(shipped)}

{_looks_for(filters)}## Limits and bias

It answers with one of its {len(data["classes"])} classes whatever it is given, also for a text that is no headline. It
knows the words of its training headlines and no others; the share of unknown words comes with each answer. Trained on
AG News it speaks of the news of 2004 and 2005, in English, as its agencies wrote it, with that time's names and biases.

## How it was made

`python train.py --preset {config.preset}{_FLAGS.get(data["origin"], "")}` with the settings in `config.json`; figures
in `performance.json`. The code is under the MIT License.

## Citation

The network is that of Kim (2014), *Convolutional Neural Networks for Sentence Classification*, EMNLP,
https://aclanthology.org/D14-1181. AG News titles: Zhang, Zhao and LeCun (2015), *Character-level Convolutional Networks
for Text Classification*, NeurIPS, https://arxiv.org/abs/1509.01626.
"""


def _front_matter(config: Config, performance: Mapping[str, Any], dataset: str | None) -> str:
    """What the Hub reads of a card, as YAML."""
    from huggingface_hub import EvalResult, ModelCardData  # heavy, and only needed here

    data, split = performance["data"], performance["split"]
    dataset = AG_NEWS if data["origin"] == "AG News train" else dataset
    terms: Mapping[str, Any] = (
        _AG_TERMS if dataset == AG_NEWS else {"license": "mit" if data["origin"] == "sample" else "unknown"}
    )
    vectors = config.train.vectors
    results = [
        EvalResult(
            task_type="text-classification",
            task_name="News headlines",
            dataset_type=dataset or data["origin"].lower(),
            dataset_name=f"{data['kept']:,} headlines",
            dataset_split=f"held out, {split['test']:,} rows, split by {split['method']}, seed {split['seed']}",
            metric_type=kind,
            metric_name=name,
            metric_value=round(performance["overall"][key], 4),
        )
        for kind, name, key in (
            ("f1", "weighted F1", "f1"),
            ("accuracy", "accuracy", "accuracy"),
            ("expected_calibration_error", "expected calibration error", "expected_calibration_error"),
        )
    ]
    return ModelCardData(
        language="en",
        library_name="textcnn",
        pipeline_tag="text-classification",
        tags=["text-classification", "news", "convolutional-neural-network", "explainable-ai", "pytorch"],
        datasets=None if dataset is None else [dataset],
        base_model=vectors if vectors in VECTOR_TERMS else None,
        metrics=["f1", "accuracy"],
        model_name=f"textcnn-{config.preset}",
        eval_results=results,
        **terms,
    ).to_yaml()


def _installation(space: str | None) -> str:
    if space is None:
        return ""
    return f"```bash\npip install git+https://huggingface.co/spaces/{space}\n```\n\n"


def _looks_for(filters: Sequence[FilterSummary]) -> str:
    """A table of the filters that push most to each class where they fire."""
    if not filters:
        return ""
    edge = "\\" + EDGE  # a bar would end the cell
    rows = [
        f"| {name} | {f} | {', '.join(ngram.text.replace(EDGE, edge) for ngram in filters[f].ngrams[:5])} |"
        for name in sorted(filters[0].pushes)
        for f in sorted(range(len(filters)), key=lambda f: -filters[f].pushes[name])[:3]
    ]
    return "\n".join(
        [
            "## What its filters look for",
            "",
            "For each class the three filters that push most to it, with the word sequences of the training headlines",
            f"that fire them most; `{EDGE}` is the start or the end of a headline. `filters.json` has all "
            f"{len(filters)}.",
            "",
            "| class | filter | looks for |",
            "|---|---|---|",
            *rows,
            "",
            "",
        ]
    )


def _vectors(config: Config) -> str:
    name = config.train.vectors
    if name is None:
        return ""
    terms = f" ({VECTOR_TERMS[name]})" if name in VECTOR_TERMS else ""
    return f"The embeddings of its words started from the vectors of `{name}`{terms}.\n\n"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _measured(performance: Mapping[str, Any]) -> str:
    split = performance["split"]
    how = {"duplicates": "copies of one title on one side", "random": "row by row, as the lesson does"}[split["method"]]
    return (
        f"Measured on {split['test']:,} held-out headlines that were used for nothing else; the model behind these "
        f"figures learned from {split['train']:,} and was chosen on {split['validation']:,} others. Split: {how}. One "
        "run of one seed."
    )


def _table(performance: Mapping[str, Any]) -> str:
    lines = ["| class | precision | recall | F1 | headlines |", "|---|---|---|---|---|"]
    rows = {**performance["class"], "all, weighted": performance["overall"]}
    for name, row in rows.items():
        figures = " | ".join(f"{row[figure]:.3f}" for figure in ("precision", "recall", "f1"))
        lines.append(f"| {name} | {figures} | {row['num_samples']:,.0f} |")
    official = performance.get("official_test")
    if official:
        figures = " | ".join(f"{official[figure]:.3f}" for figure in ("precision", "recall", "f1"))
        lines.append(f"| official test file, weighted | {figures} | {official['num_samples']:,.0f} |")
    return "\n".join(lines)


def _calibration(performance: Mapping[str, Any]) -> str:
    overall = performance["overall"]
    return (
        f"Accuracy {overall['accuracy']:.3f}, macro F1 {overall['macro_f1']:.3f}, log loss {overall['log_loss']:.3f}, "
        f"expected calibration error {overall['expected_calibration_error']:.3f}."
    )


def _shipped(shipped: Mapping[str, Any]) -> str:
    if shipped["refit"]:
        return (
            f"The weights in this folder were trained again on all {shipped['rows']:,} readable headlines, with the "
            f"settings and the number of epochs ({shipped['epochs']}) of the measured model. The figures above are "
            "those of the measured model."
        )
    return f"The weights in this folder are those of the measured model, from {shipped['rows']:,} headlines."
