"""WordNet as a dictionary, with the dictionary itself."""

import zipfile
from pathlib import Path

import pytest
from nltk import data as nltk_data

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference import wordnet
from r1sgg_cli.inference.wordnet import DEBIAN_FOLDER, WordNet, load_wordnet
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

from .conftest import needs_dictionary

VG150 = load_vocabulary("vg150")


@needs_dictionary
@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("automobile", "car", id="a synonym"),
        pytest.param("oak tree", "tree", id="a kind, in two words"),
        pytest.param("beagle", "dog", id="a kind, three steps up"),
        pytest.param("bikes", "bike", id="a plural"),
        pytest.param("car tire", "tire", id="the head, not the first word"),
        pytest.param("horse tail", "tail", id="the head of another"),
        pytest.param("door handle", "handle", id="the head of a third"),
        pytest.param("bus stop", None, id="a stop is no bus"),
        pytest.param("teddy bear", None, id="a word of its own"),
        pytest.param("hot dog", None, id="another word of its own"),
        pytest.param("home", None, id="no home plate"),
        pytest.param("grass", None, id="no pot"),
        pytest.param("wall clock", "clock", id="no fence"),
        pytest.param("wall", None, id="no fence either"),
        pytest.param("frisbee", None, id="a disc, no plate"),
        pytest.param("monitor", None, id="ambiguous"),
        pytest.param("xyzzy", None, id="no word"),
    ],
)
def test_objects(vg150_wordnet: WordNet, name: str, found: str | None) -> None:
    """Most of these the published mapping takes for something else."""
    assert vg150_wordnet.object_class(name) == found


@needs_dictionary
@pytest.mark.parametrize(
    ("predicate", "found"),
    [
        pytest.param("rides", "riding", id="third person"),
        pytest.param("hold", "holding", id="base form"),
        pytest.param("sits on", "sitting on", id="the words after it are kept"),
        pytest.param("sits in", None, id="other words after it"),
        pytest.param("covered", None, id="a participle may be a passive"),
        pytest.param("held by", None, id="a passive"),
        pytest.param("standing next to", None, id="no single word of it"),
        pytest.param("beneath", None, id="no verb"),
    ],
)
def test_predicates(vg150_wordnet: WordNet, predicate: str, found: str | None) -> None:
    assert vg150_wordnet.predicate_class(predicate) == found


@needs_dictionary
def test_the_dictionary_is_named_with_its_version(vg150_wordnet: WordNet) -> None:
    assert vg150_wordnet.source == "WordNet 3.0"


@needs_dictionary
def test_nltks_own_download_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a zip file, found by nltk's own search path."""
    (tmp_path / "corpora").mkdir()
    with zipfile.ZipFile(tmp_path / "corpora" / "wordnet.zip", "w", zipfile.ZIP_STORED) as packed:
        for file in DEBIAN_FOLDER.iterdir():
            lines = file.read_bytes().splitlines(keepends=True)
            if file.name.startswith("index.") or file.name == "data.adj":  # their heads alone, and it loads in no time
                lines = [line for line in lines if line.startswith(b"  ")]
            packed.writestr(f"wordnet/{file.name}", b"".join(lines))
    monkeypatch.setattr(nltk_data, "path", [str(tmp_path)])
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    assert load_wordnet(VG150).source == "WordNet 3.0"


def test_a_machine_without_a_dictionary_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk_data, "path", [str(tmp_path)])
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"there is no WordNet on this machine; `apt-get install wordnet-base`"):
        load_wordnet(VG150)
