"""How alike two labels mean: a function of two normalised labels, between 0 (nothing in common) and 1 (the same).

Rewards take it as an argument. Whatever `load_similarity` returns remembers every pair, so that a language model is
asked once for a label and once for a pair of labels, however long the training.
"""

import importlib
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from r1sgg_cli.errors import ConfigError, first_line, why_unfetched
from r1sgg_cli.typed_names import missing_local

Similarity = Callable[[str, str], float]

_LABELS = 65_536
_PAIRS = 1_048_576
_ENCODER = "a folder that holds one, or one of the hub such as `sentence-transformers/all-MiniLM-L6-v2`"


def exact_similarity(label_a: str, label_b: str) -> float:
    """1 for equal labels, 0 for all others."""
    return 1.0 if label_a == label_b else 0.0


def load_similarity(name: str) -> Similarity:
    """The similarity called `exact`, `spacy`, `spacy:MODEL` or `sentence-transformers:MODEL`; raises `ConfigError`."""
    kind, _, model = name.partition(":")
    if name == "exact":
        return exact_similarity
    if kind == "spacy":
        return remembered(_spacy_similarity(model or "en_core_web_sm"))
    if kind == "sentence-transformers" and model:
        return remembered(_embedding_similarity(model))
    raise ConfigError(f"no similarity `{name}`: give `exact`, `spacy`, `spacy:MODEL` or `sentence-transformers:MODEL`")


@lru_cache(maxsize=16)
def remembered(similarity: Similarity) -> Similarity:
    """The same similarity clamped to [0, 1], 1 for equal labels, and asked once for each pair."""

    @lru_cache(maxsize=_PAIRS)
    def clamped(label_a: str, label_b: str) -> float:
        return 1.0 if label_a == label_b else min(max(float(similarity(label_a, label_b)), 0.0), 1.0)

    return clamped


def _spacy_similarity(model: str) -> Similarity:
    """The published measure: cosine of spaCy's document vectors."""
    try:
        nlp = _import_extra("spacy").load(model)
    except OSError as error:
        raise ConfigError(_no_spacy_model(model, error)) from error
    document = lru_cache(maxsize=_LABELS)(nlp)

    def similarity(label_a: str, label_b: str) -> float:
        with warnings.catch_warnings():
            # W007 and W008 say that a model has no vectors or does not know a word: as published, it counts as it is
            warnings.filterwarnings("ignore", message=r"\[W00[78]\]")
            return float(document(label_a).similarity(document(label_b)))

    return similarity


def _no_spacy_model(model: str, error: OSError) -> str:
    if Path(model).exists() or "/" in model:
        return f"no spaCy model in `{model}`: {first_line(error)}; name the folder that holds its `config.cfg`"
    # spaCy fetches models with pip, which an environment made by uv lacks.
    return f"no spaCy model `{model}`: run `uv pip install pip && python -m spacy download {model}`"


def _embedding_similarity(model: str) -> Similarity:
    """Cosine of sentence embeddings, made on the CPU: labels are few, and the GPU belongs to the training."""
    package = _import_extra("sentence_transformers")
    if said := missing_local(model):
        raise ConfigError(f"no sentence-transformers model: {said}; name {_ENCODER}")
    importlib.import_module("transformers").utils.logging.disable_progress_bar()  # for weights of a tenth of a second
    try:
        encoder = package.SentenceTransformer(model, device="cpu")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no sentence-transformers model `{model}` (name {_ENCODER}): {why_unfetched(error)}"
        ) from error

    @lru_cache(maxsize=_LABELS)
    def embedding(label: str) -> np.ndarray:
        return encoder.encode(label, normalize_embeddings=True, show_progress_bar=False)

    def similarity(label_a: str, label_b: str) -> float:
        return float(embedding(label_a) @ embedding(label_b))

    return similarity


def _import_extra(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = module.replace("_", "-")
        raise ConfigError(f"`{extra}` is not installed: run `uv sync --extra {extra}`") from error
