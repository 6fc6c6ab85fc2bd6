"""One answer to where the hub's files are: the hub's own."""

import json
import os
import subprocess
import sys

import pytest

from r1sgg_cli.launch.hub_folders import hub_cache, hub_folders

NAMES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME")
ASKED = """
import json
from huggingface_hub import constants
print(json.dumps([constants.HF_HOME, constants.HF_HUB_CACHE]))
"""


@pytest.mark.parametrize(
    ("variables", "more"),
    [
        ({}, {}),
        ({"HF_HOME": "/data/hf"}, {}),
        ({"HF_HOME": "~/$PLACE/hf"}, {}),
        ({"XDG_CACHE_HOME": "/scratch/c"}, {}),
        ({"XDG_CACHE_HOME": "/scratch/c", "HF_HOME": "/data/hf"}, {}),
        ({"HF_HUB_CACHE": "/scratch/hub", "HF_HOME": "/data/hf"}, {"HF_HUB_CACHE": "/scratch/hub"}),
        ({"HUGGINGFACE_HUB_CACHE": "/scratch/hub"}, {"HF_HUB_CACHE": "/scratch/hub"}),
        ({"HF_DATASETS_CACHE": "/scratch/sets"}, {"HF_DATASETS_CACHE": "/scratch/sets"}),
    ],
    ids=lambda given: ", ".join(given) or "none",
)
def test_the_hubs_folders_are_where_its_libraries_look(
    variables: dict[str, str], more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "place")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    home, cache = json.loads(done.stdout)
    found = {name: str(folder) for name, folder in hub_folders(os.environ).items()}
    assert found == {"HF_HOME": home, **more}
    assert str(hub_cache(os.environ)) == cache
