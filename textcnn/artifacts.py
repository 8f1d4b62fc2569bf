"""The artifact folder: written whole or not at all, read strictly. It never holds a pickle."""

import glob
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from textcnn import hub
from textcnn.config import Config, read_json, write_json
from textcnn.errors import ArtifactError, ConfigError
from textcnn.filters import FilterSummary, load_summaries, save_summaries
from textcnn.model import TextCNN
from textcnn.text import LabelEncoder, Tokenizer

__all__ = ["FORMAT_VERSION", "Artifacts", "check_target", "is_there", "load", "load_from_hub", "save"]

FORMAT_VERSION = 2
CONFIG, LABELS, TOKENIZER, WEIGHTS = "config.json", "label_encoder.json", "tokenizer.json", "model.safetensors"
FILTERS, PERFORMANCE, CARD, FIGURES = "filters.json", "performance.json", "README.md", "figures"
HASHED = (LABELS, TOKENIZER, WEIGHTS, FILTERS)  # what an answer depends on beside config.json
# Names that a rerun may replace. Anything else in a folder is somebody's, and is never deleted.
OURS = {CONFIG, *HASHED, PERFORMANCE, CARD, FIGURES, ".gitattributes"}


@dataclass(frozen=True)
class Artifacts:
    """A model with everything that a prediction needs."""

    config: Config
    tokenizer: Tokenizer
    label_encoder: LabelEncoder
    model: TextCNN
    temperature: float = 1.0  # what logits are divided by before the softmax
    picture_scale: float = 1.0  # the convolution output at which the heat map's colours end
    performance: Mapping[str, Any] | None = None  # what was measured, and on what
    filters: tuple[FilterSummary, ...] = ()  # what each filter looks for, all of them or none


def check_target(folder: str | Path) -> Path:
    """Return where artifacts can be written; create its parent.

    Call it before a long training: what it refuses would cost the result.

    Raises:
        ArtifactError: the path is a file, holds files that are not artifacts, or cannot be written.
    """
    folder = _existing(folder)
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file: give a folder that is new, empty or holds artifacts.")
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in OURS) if folder.is_dir() else []
    if foreign:
        raise ArtifactError(
            f"{folder} holds files that are not artifacts ({', '.join(foreign[:5])}), and they would be lost: "
            "give a folder that is new, empty or holds artifacts alone."
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file():
        raise ArtifactError(f"{folder} is not empty and has no {CONFIG}: give a folder that is new or empty.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise ArtifactError(f"{folder.parent} cannot be written: {error.strerror}. Give another folder.") from None
    return folder


def save(folder: str | Path, artifacts: Artifacts, card: str = "", figures: Mapping[str, bytes] | None = None) -> Path:
    """Write the artifact folder; an earlier one is replaced whole, or stays whole if this fails.

    The embedding is stored as float16; measure on what `load` gives back.

    Args:
        folder: new, empty, or of an earlier save.
        artifacts: what to write.
        card: text of README.md, the model card.
        figures: PNG files by name.

    Returns:
        The folder.

    Raises:
        ArtifactError: the folder cannot be written or holds other files.
    """
    folder = check_target(folder)
    try:
        with _new_beside(folder) as new:
            _write(new, artifacts, card, figures or {})
            _swap(new, folder)
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror or error}): nothing was changed.") from None
    return folder


def load(folder: str | Path) -> Artifacts:
    """Read an artifact folder strictly; what a crash in the middle of a save moved aside is moved back first.

    Raises:
        ArtifactError: a file is missing, altered, or does not fit the others; the message names it.
    """
    folder = _recover(_existing(folder))
    if not folder.is_dir():
        raise ArtifactError(f"There is no artifact folder {folder}: train one with train.py --out {folder.name}.")
    settings = _settings(folder)
    contents = {name: _checked(folder / name, settings["files"].get(name)) for name in HASHED}
    try:
        config = Config.from_dict(settings["config"])
    except ConfigError as error:
        raise ArtifactError(f"{CONFIG} in {folder}: {error}") from None
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    label_encoder = LabelEncoder.load(folder / LABELS)
    if label_encoder.classes != settings["classes"]:
        raise ArtifactError(
            f"{LABELS} in {folder} has the classes {label_encoder.classes}, {CONFIG} {settings['classes']}: "
            "the files are of different models."
        )
    model = _model(folder / WEIGHTS, contents[WEIGHTS], config, len(tokenizer), len(label_encoder))
    filters = load_summaries(folder / FILTERS)
    if filters and [summary.size for summary in filters] != config.model.windows:
        raise ArtifactError(f"{FILTERS} in {folder} is of another model: its filters are not those of {CONFIG}.")
    performance = read_json(folder / PERFORMANCE) if (folder / PERFORMANCE).exists() else None
    if not isinstance(performance, dict | None):
        raise ArtifactError(f"{PERFORMANCE} in {folder} is no JSON object.")
    return Artifacts(
        config,
        tokenizer,
        label_encoder,
        model,
        temperature=settings["temperature"],
        picture_scale=settings["picture_scale"],
        performance=performance,
        filters=filters,
    )


def is_there(folder: str | Path) -> bool:
    """Return whether there is such a path, or what a crash in the middle of a save left of it."""
    folder = _existing(folder)
    return folder.exists() or bool(_beside(folder, "old"))


def load_from_hub(repo: str, revision: str | None, seconds: float) -> Artifacts:
    """Fetch a model's files from the Hub and read them as strictly as a folder's.

    Raises:
        HubError: they cannot be had.
        ArtifactError: one is altered or does not fit the others; the message names it.
    """
    paths = hub.fetch(repo, [CONFIG, *HASHED], optional=[PERFORMANCE], revision=revision, seconds=seconds)
    return load(paths[CONFIG].parent)


def _existing(folder: str | Path) -> Path:
    """Return the whole path, if the file system can have such a name."""
    try:
        whole = Path(folder).resolve()
        whole.exists()
    except (OSError, ValueError) as error:
        raise ArtifactError(f"There is no artifact folder {str(folder)[:80]}: {error}"[:300]) from None
    return whole


def _write(folder: Path, artifacts: Artifacts, card: str, figures: Mapping[str, bytes]) -> None:
    artifacts.label_encoder.save(folder / LABELS)
    artifacts.tokenizer.save(folder / TOKENIZER)
    save_summaries(folder / FILTERS, artifacts.filters)
    weights = {name: tensor.contiguous() for name, tensor in artifacts.model.state_dict().items()}
    if "embedding.weight" in weights:
        weights["embedding.weight"] = weights["embedding.weight"].half()
    (folder / WEIGHTS).write_bytes(save_tensors(weights))
    if artifacts.performance is not None:
        write_json(folder / PERFORMANCE, artifacts.performance)
    if card:
        (folder / CARD).write_text(card, encoding="utf-8")
    if figures:
        (folder / FIGURES).mkdir()
        for name, content in figures.items():
            (folder / FIGURES / name).write_bytes(content)
    settings = {
        "format": "textcnn",
        "format_version": FORMAT_VERSION,
        "config": artifacts.config.to_dict(),
        "classes": artifacts.label_encoder.classes,
        "temperature": artifacts.temperature,
        "picture_scale": artifacts.picture_scale,
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in HASHED},
    }
    write_json(folder / CONFIG, settings)


@contextmanager
def _new_beside(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside the target, on the same file system; remove it if it was not moved away."""
    for abandoned in _beside(folder, "new"):
        if time.time() - abandoned.stat().st_mtime > 3600:  # of a save that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        new.chmod(0o755)
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; a folder that holds files cannot be replaced by one rename."""
    aside = new.with_name(f".{folder.name}.old-{new.name.rpartition('-')[2]}")
    replaced = folder.exists()
    if replaced:
        os.rename(folder, aside)
    try:
        os.rename(new, folder)
    except BaseException:
        if replaced:
            os.rename(aside, folder)
        raise
    for old in _beside(folder, "old"):  # this one, and those of saves that were killed
        shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path, kind: str) -> list[Path]:
    """The folders beside the target that a save of it made: "new" ones being written, "old" ones moved aside."""
    return list(folder.parent.glob(f".{glob.escape(folder.name)}.{kind}-*"))


def _recover(folder: Path) -> Path:
    """Move back what a save that was killed between its two renames had moved aside."""
    if folder.exists():
        return folder
    asides = sorted(_beside(folder, "old"), key=lambda path: path.stat().st_mtime)
    if not asides:
        return folder
    try:
        return asides[-1].rename(folder)
    except OSError:  # a file system that cannot be written: read it where it lies
        return asides[-1]


def _settings(folder: Path) -> dict[str, Any]:
    """Read config.json and check what is not part of `Config`."""
    path = folder / CONFIG
    settings = read_json(path)
    wanted = {"format", "format_version", "config", "classes", "temperature", "picture_scale", "files"}
    if not isinstance(settings, dict) or settings.get("format") != "textcnn":
        raise ArtifactError(f"{CONFIG} in {folder} is not of a textcnn model: train one with train.py.")
    if settings.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{CONFIG} in {folder} has format version {settings.get('format_version')}, "
            f"this version of textcnn reads {FORMAT_VERSION}: train again, or install the version that wrote it."
        )
    if set(settings) != wanted or not isinstance(settings["files"], dict):
        raise ArtifactError(f"{CONFIG} in {folder} has the keys {sorted(settings)}: expected are {sorted(wanted)}.")
    for name in ("temperature", "picture_scale"):
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-6 < value < 1e6:
            raise ArtifactError(f"{CONFIG} in {folder}: {name} is {value!r}, a number above 0 is expected.")
    return settings


def _checked(path: Path, sha256: str | None) -> bytes:
    """Return a file's bytes if they are the ones that config.json names."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path.name} is missing in {path.parent}: the artifact folder is not complete.") from None
    except OSError as error:
        raise ArtifactError(f"{path.name} in {path.parent} cannot be read: {error.strerror}.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ArtifactError(
            f"{path.name} in {path.parent} is not the file that {CONFIG} names (sha256 {found[:12]}..., expected "
            f"{str(sha256)[:12]}...): it was cut short or changed. Get the folder again."
        )
    return content


def _said(tensor: tuple[tuple[int, ...], torch.dtype] | None) -> str:
    return "no such tensor" if tensor is None else f"shape {tensor[0]} of {str(tensor[1]).removeprefix('torch.')}"


def _model(path: Path, content: bytes, config: Config, num_tokens: int, num_classes: int) -> TextCNN:
    """Build the network and fill in the weights, refusing any that are missing, too many or of another shape."""
    try:
        weights = {name: tensor.float() if tensor.is_floating_point() else tensor
                   for name, tensor in load_tensors(content).items()}  # fmt: skip
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path.name} in {path.parent} is not a safetensors file: {error}") from None
    with torch.device("meta"):  # shapes without memory: nothing is allocated for a config that does not fit
        model = TextCNN(config.model, num_tokens, num_classes)
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise ArtifactError(
            f"{path.name} in {path.parent} does not fit {TOKENIZER} ({num_tokens:,} tokens), {LABELS} ({num_classes} "
            f"classes) and {CONFIG}: {name} has {_said(found.get(name))}, expected is {_said(expected.get(name))}."
        )
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ArtifactError(f"{path.name} in {path.parent} holds weights that are not finite numbers.")
    model.load_state_dict(weights, strict=True, assign=True)
    if any(weight[0].any() for weight in model.token_weights):
        raise ArtifactError(f"{path.name} in {path.parent}: the row of PAD is not zero, so padding would count.")
    return model.requires_grad_(False).eval()
