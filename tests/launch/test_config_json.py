"""A config.json is found in a folder, in the hub's cache or in this package, or its lack is one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import ModelError
from r1sgg_cli.launch.config_json import load_config
from tests.launch.shapes import published_config


def save_in_hub_cache(cache: Path, model: str, config: dict[str, Any]) -> None:
    """A config.json where huggingface_hub keeps those that it fetched."""
    repository = cache / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    for folder in (snapshot, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_what_the_hub_cache_holds_wins_over_what_this_package_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = "Qwen/Qwen2-VL-2B-Instruct"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert load_config(model, fetch=False) == (published_config(model), "published shape")
    save_in_hub_cache(tmp_path, model, {"model_type": "changed"})
    assert load_config(model, fetch=False) == ({"model_type": "changed"}, "hub cache")


def test_nothing_is_known_of_another_name_unless_it_is_fetched() -> None:
    assert load_config("somebody/else", fetch=False) is None
    with pytest.raises(ModelError, match="`somebody/else` is no checkpoint folder, nor a model that can be fetched"):
        load_config("somebody/else", fetch=True)


def test_a_known_model_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = load_config("Qwen/Qwen3-VL-4B-Instruct", fetch=True)
    assert found is not None
    assert found[1] == "published shape"


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no `config\.json`; give the folder that does"):
        load_config(str(tmp_path), fetch=False)
