"""Where answers and predictions come from, as `run.json` and `preds.json` say it: checked as far as it is read.

What commands print or compare must be of its kind before they start; what is only handed on may be anything.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

TASKS = ("sgg", "det", "cls")
"""Those of `config.schema.Task`, which imports pydantic."""


def checked_provenance(value: Any) -> dict[str, Any]:
    """The record as it stands. Raises `TypeError` or `ValueError` where a field that it has cannot be what it says."""
    record = _mapping(value, "the record")
    json.dumps(record, ensure_ascii=False).encode()  # what UTF-8 cannot hold cannot be printed either
    for names, kind, is_of_kind in _FIELDS:
        for name in names:
            if name in record and not is_of_kind(record[name]):
                raise ValueError(f"`{name}` must be {kind}")
    if record.get("task", "sgg") not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}")
    if "gather" in record:
        _check_gathered(record["gather"])
    return record


def _check_gathered(value: Any) -> None:
    mapping = _mapping(_mapping(value, "`gather`").get("label_mapping", {}), "`label_mapping`")
    for part, counts in _mapping(mapping.get("mapped", {}), "`mapped`").items():
        if not all(type(count) is int for count in _mapping(counts, f"`{part}`").values()):
            raise ValueError(f"`{part}` must be counts")


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a mapping")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_nothing(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_count_or_nothing(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


_FIELDS: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
    (("model", "dataset", "family", "command"), "a text", _is_text),
    (("split", "model_fingerprint", "dataset_fingerprint", "base", "revision"), "a text or null", _is_text_or_nothing),
    (("limit", "split_size"), "a number of images or null", _is_count_or_nothing),
    (("annotated",), "true or false", lambda value: isinstance(value, bool)),
    (("prompts", "generation", "versions"), "a mapping", _is_mapping),
)


def checked_names(value: Any) -> list[str]:
    """A vocabulary's list of names. Raises `TypeError` or `ValueError` where it is none."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("a vocabulary's names must be a list of texts")
    "".join(value).encode()
    return value


def limit_of(provenance: Mapping[str, Any]) -> str | None:
    """Which part of its split a trial asked for, in words; None for the whole split, or where nothing is said."""
    limit, split_size = provenance.get("limit"), provenance.get("split_size")
    if limit is None or split_size is None or limit >= split_size:
        return None
    return f"first {limit} of {split_size} images (`--limit`)"


def origin_of(provenance: Mapping[str, Any]) -> str:
    """Whose answers they are, and to what, in words."""
    split = f" ({provenance['split']})" if provenance.get("split") else ""
    limit = f", {part}" if (part := limit_of(provenance)) else ""
    model, dataset = provenance.get("model", "unknown model"), provenance.get("dataset", "unknown data set")
    return f"{model} on {dataset}{split}{limit}"


def mapping_of(provenance: Mapping[str, Any]) -> str | None:
    """How many labels were mapped into the vocabulary, and by what; None where none were."""
    mapping = provenance.get("gather", {}).get("label_mapping", {})
    total = sum(count for counts in mapping.get("mapped", {}).values() for count in counts.values())
    by = ", ".join(f"{kind}: {mapping[kind]}" for kind in ("aliases", "wordnet") if mapping.get(kind))
    return f"{total} labels were mapped into the vocabulary ({by}), which may raise the numbers" if total else None
