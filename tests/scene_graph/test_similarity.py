"""Label similarity: exact, and through language models made on the spot."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import spacy
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.similarity import exact_similarity, load_similarity, remembered

LABELS = ["man", "person", "on", "riding", "traffic light"]


def test_exact_similarity_knows_only_equal_labels() -> None:
    similarity = load_similarity("exact")
    assert similarity is exact_similarity
    assert similarity("man", "man") == 1
    assert similarity("man", "person") == 0


def test_remembered_similarity_is_clamped_and_asked_once() -> None:
    asked = []

    def similarity(label_a: str, label_b: str) -> float:
        asked.append((label_a, label_b))
        return -0.5 if label_b == "horse" else 1.5

    kept = remembered(similarity)
    assert [kept("man", "horse"), kept("man", "person"), kept("man", "man")] == [0, 1, 1]
    assert [kept("man", "horse"), kept("man", "person"), kept("man", "man")] == [0, 1, 1]
    assert asked == [("man", "horse"), ("man", "person")]


@pytest.fixture(scope="module")
def spacy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nlp = spacy.blank("en")
    for word, vector in {"man": [1, 0], "person": [0.8, 0.6], "horse": [-1, 0], "riding": [0, 1]}.items():
        nlp.vocab.set_vector(word, np.array(vector, dtype=np.float32))
    path = tmp_path_factory.mktemp("models") / "tiny_spacy"
    nlp.to_disk(path)
    return path


@pytest.mark.parametrize(
    ("label_a", "label_b", "value"),
    [
        pytest.param("man", "person", 0.8, id="cosine of vectors"),
        pytest.param("man", "man riding", 0.5**0.5, id="mean of words"),
        pytest.param("man", "horse", 0.0, id="R13: negative values count 0"),
        pytest.param("man", "zyzzyva", 0.0, id="unknown word"),
        pytest.param("zyzzyva", "zyzzyva", 1.0, id="equal unknown words"),
    ],
)
def test_spacy_compares_document_vectors(spacy_model: Path, label_a: str, label_b: str, value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        similarity = load_similarity(f"spacy:{spacy_model}")
        assert similarity(label_a, label_b) == pytest.approx(value, abs=1e-6)


@pytest.fixture(scope="module")
def embedding_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(LABELS, trainers.WordLevelTrainer(special_tokens=special))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder / "bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=tokenizer.get_vocab_size(), **sizes)).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    encoder = SentenceTransformer(modules=[transformer, Pooling(16)], device="cpu")
    encoder.save(str(folder / "tiny_encoder"))
    return folder / "tiny_encoder"


def test_sentence_transformer_compares_embeddings(embedding_model: Path) -> None:
    similarity = load_similarity(f"sentence-transformers:{embedding_model}")
    values = np.array([[similarity(a, b) for b in LABELS] for a in LABELS])
    assert np.allclose(np.diagonal(values), 1)
    assert np.allclose(values, values.T, atol=1e-5)
    assert (values >= 0).all()
    assert (values <= 1).all()
    encoder = SentenceTransformer(str(embedding_model), device="cpu")
    expected = encoder.similarity(encoder.encode("man"), encoder.encode("riding")).item()
    assert similarity("man", "riding") == pytest.approx(max(expected, 0), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("cosine", "no similarity `cosine`: give `exact`", id="unknown"),
        pytest.param("sentence-transformers", "`sentence-transformers:MODEL`", id="no model named"),
        pytest.param(
            "spacy:no_such_model",
            "no spaCy model `no_such_model`: run `uv pip install pip && python -m spacy download no_such_model`$",
            id="spaCy model missing",
        ),
        pytest.param(
            "spacy:./nowhere", r"no spaCy model in `\./nowhere`: .*; name the folder", id="no folder for spaCy"
        ),
        pytest.param(
            "sentence-transformers:/nowhere/at-all",
            "no sentence-transformers model: no folder `/nowhere/at-all`; name a folder that holds one, or one of the",
            id="no folder for an encoder",
        ),
        pytest.param(
            "sentence-transformers:nope/nope",
            r"no sentence-transformers model `nope/nope` \(name a folder that holds one, or one of the hub such as"
            r" `sentence-transformers/all-MiniLM-L6-v2`\): .*; the hub is not asked \(`HF_HUB_OFFLINE`\): unset that",
            id="encoder missing",
        ),
    ],
)
def test_similarity_that_cannot_be_had_says_how_to_get_one(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_similarity(name)


@pytest.mark.parametrize("extra", ["spacy", "sentence-transformers"])
def test_missing_extra_is_named_with_the_command_of_a_checkout(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    monkeypatch.setitem(sys.modules, extra.replace("-", "_"), None)
    with pytest.raises(ConfigError, match=f"`{extra}` is not installed: run `uv sync --extra {extra}`"):
        load_similarity(f"{extra}:some_model")
