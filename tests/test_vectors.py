"""First embeddings from word vectors, on a table of a dozen pieces made here."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer as Pieces
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace

from tests.conftest import ROOT
from textcnn import PRESETS, ConfigError, DataError, HeadlineClassifier
from textcnn.training import fit
from textcnn.vectors import PINNED, load_vectors

PIECES = ["[UNK]", "oil", "price", "##s", "goal", "cup", "final", "bank", "peace", "talk", "moon", "star"]
TITLES = ["oil prices", "bank oil", "goal cup", "cup final", "goal final", "oil bank price"]
LABELS = ["Business", "Business", "Sports", "Sports", "Sports", "Business"]


@pytest.fixture
def folder(tmp_path):
    """A folder as a sentence-transformers model has it; 6 components a piece."""
    table = np.random.default_rng(0).normal(size=(len(PIECES), 6)).astype(np.float32)
    save_file({"embeddings.word_embeddings.weight": table}, tmp_path / "model.safetensors")
    pieces = Pieces(WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    pieces.pre_tokenizer = Whitespace()
    pieces.enable_padding(length=8)
    pieces.enable_truncation(1)
    pieces.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_words_vector_is_the_mean_of_its_pieces(folder):
    vectors = load_vectors(folder)
    assert vectors.table.shape == (12, 6)
    words = ["oil", "prices", "price", "goal", "cup", "star", "moon"]
    full = vectors.of_words(words, 6)  # all components: a rotation of the centred, scaled means
    means = np.array([vectors.table[vectors.pieces.encode(word).ids].mean(0) for word in words])
    means -= means.mean(0)
    np.testing.assert_allclose(full @ full.T, means @ means.T * (full.std() / means.std()) ** 2, atol=1e-5)
    np.testing.assert_allclose(
        vectors.table[[2, 3]].mean(0), vectors.table[vectors.pieces.encode("prices").ids].mean(0)
    )


def test_they_are_centred_and_of_one_deviation_whatever_the_tables(folder):
    embeddings = load_vectors(folder).of_words(["oil", "goal", "cup", "star"], 3)
    assert embeddings.shape == (4, 3)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings.mean(0), 0, atol=1e-6)
    assert embeddings.std() == pytest.approx(0.3)


def test_the_first_components_hold_the_most(folder):
    spread = load_vectors(folder).of_words(PIECES[1:3] + PIECES[4:], 6).std(0)
    assert list(spread) == sorted(spread, reverse=True)


def test_a_model2vec_folder_is_read_too(folder):
    table = load_vectors(folder).table
    save_file({"embeddings": table}, folder / "model.safetensors")
    np.testing.assert_array_equal(load_vectors(folder).table, table)


def test_more_components_than_there_are_is_refused(folder):
    with pytest.raises(DataError, match="have 6 components: embedding_dim is 7, give at most 6"):
        load_vectors(folder).of_words(["oil"], 7)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"rubbish", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_damaged_folder_names_the_ways_out(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="--vectors FOLDER, or do without with --vectors none"):
        load_vectors(folder)


def test_a_table_too_short_for_its_pieces_is_refused(folder):
    save_file({"embeddings": np.zeros((3, 6), np.float32)}, folder / "model.safetensors")
    with pytest.raises(DataError, match="3 rows for 12 pieces"):
        load_vectors(folder)


def test_what_the_hub_sends_must_be_what_is_pinned(folder, monkeypatch):
    paths = folder / "model.safetensors", folder / "tokenizer.json"
    monkeypatch.setattr("textcnn.vectors._download", lambda repo: paths)
    with pytest.raises(DataError, match=f"pinned is {PINNED['sentence-transformers/all-MiniLM-L6-v2']}"):
        load_vectors("sentence-transformers/all-MiniLM-L6-v2")
    assert load_vectors("owner/other").name == "owner/other"


def test_no_network_is_said_with_the_ways_out(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"owner/nothing cannot be had from the Hub .*--vectors none"):
        load_vectors("owner/nothing")


def test_a_training_starts_from_them(folder):
    config = PRESETS["default"].replace(vectors=str(folder), embedding_dim=4, learning_rate=1e-9, epochs=1)
    fitted = fit(TITLES, LABELS, config)
    words = list(fitted.tokenizer.token_to_index)[2:]
    first = load_vectors(folder).of_words(words, 4)
    np.testing.assert_allclose(fitted.model.embedding.weight[2:].detach(), first, atol=1e-6)
    assert not fitted.model.embedding.weight[0].any()


def test_a_one_hot_model_has_nothing_to_start_from_them(folder):
    with pytest.raises(ConfigError, match="has no embedding to start from vectors: --vectors none"):
        fit(TITLES, LABELS, PRESETS["lesson"].replace(vectors=str(folder)))


def test_a_folder_is_kept_by_its_hash_and_never_by_its_path(folder, tmp_path, capsys):
    import train

    data = tmp_path / "headlines.csv"
    rows = [f"{title} {i},{label}" for i in range(20) for title, label in zip(TITLES, LABELS, strict=True)]
    data.write_text("title,category\n" + "\n".join(rows) + "\n")
    out = tmp_path / "out" / "model"
    settings = ["--embedding-dim", "4", "--num-filters", "4", "--epochs", "1", "--no-refit", "--split", "random"]
    assert train.main(["--data", str(data), "--vectors", str(folder), "--out", str(out), *settings]) == 0
    name = HeadlineClassifier.from_pretrained(out).config.train.vectors
    assert name.startswith("sha256:")
    written = "".join(path.read_text() for path in [*out.glob("*.json"), out / "README.md"])
    assert str(tmp_path) not in written
    assert json.loads((out / "config.json").read_text())["config"]["train"]["vectors"] == name


def test_the_bundled_model_started_from_the_pinned_ones():
    assert HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "default").config.train.vectors in PINNED
