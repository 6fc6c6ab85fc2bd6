"""Counts of a split: names as written, triplets by name, the same after a trip through JSON."""

import json
from pathlib import Path

import pytest

from r1sgg_cli.data.cleaning import CleaningRules, clean_image
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.statistics import STATISTICS_FILE, SplitStatistics, load_train_statistics
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import graph_from_rows
from tests.data.annotated import HORSE, MAN, annotated, image_file


def statistics() -> SplitStatistics:
    found = SplitStatistics()
    for _ in range(2):
        image = annotated(
            objects=(MAN, HORSE, ("tree-merged", [1, 1, 9, 9])), relationships=((0, "on", 1), (2, "on", 1))
        )
        graph = clean_image(image, image_file(), CleaningRules(), Tally())
        assert graph is not None
        found.add(graph)
    return found


def test_images_objects_and_triplets_are_counted_as_written() -> None:
    found = statistics()
    assert (found.num_images, found.num_objects, found.num_relationships) == (2, 6, 4)
    assert found.objects == {"man": 2, "horse": 2, "tree-merged": 2}
    assert found.triplets == {("man", "on", "horse"): 2, ("tree-merged", "on", "horse"): 2}


def test_json_gives_the_same_back() -> None:
    assert SplitStatistics.from_json(json.loads(json.dumps(statistics().to_json()))) == statistics()


def test_two_halves_make_the_whole() -> None:
    both = statistics()
    both.update(statistics())
    assert both.num_images == 4
    assert both.predicates == {"on": 8}


def test_only_a_running_number_is_taken_off_an_id() -> None:
    found = SplitStatistics()
    objects = [{"id": name, "bbox": [0, 0, 9, 9]} for name in ("St.Bernard", "man.2")]
    found.add(graph_from_rows(objects, [{"subject": "man.2", "predicate": "on", "object": "St.Bernard"}], (10, 10)))
    assert found.objects == {"St.Bernard": 1, "man": 1}
    assert found.triplets == {("man", "on", "St.Bernard"): 1}


def test_a_data_set_brings_its_counts_or_it_is_said_how_to_have_them(tmp_path: Path) -> None:
    (tmp_path / STATISTICS_FILE).write_text(json.dumps(statistics().to_json()), encoding="utf-8")
    assert load_train_statistics(str(tmp_path)) == statistics()
    (tmp_path / STATISTICS_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"is not what `r1sgg prepare` writes.*prepare the data set again"):
        load_train_statistics(str(tmp_path))
    with pytest.raises(DataError, match=r"`JosephZ/psg_train_sg` has no `train_statistics.json`.*prepare hub:OWNER"):
        load_train_statistics("JosephZ/psg_train_sg")
