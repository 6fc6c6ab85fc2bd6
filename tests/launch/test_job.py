"""What a job takes of its preset's hardware."""

import pytest

from r1sgg_cli.launch.job import JobKind
from tests.launch.jobs import MODEL, make_job

SERVERS = {"rollouts": "servers"}


@pytest.mark.parametrize(
    ("preset", "overrides", "counts"),
    [
        ("a100-16x", {}, (4, 4, 4, 4)),
        ("cpu", {}, (1,)),
        ("rtx4090-120x", {}, (4,) * 10 + (8,) * 5),
        ("a100-16x", {**SERVERS, "servers": {"tensor_parallel": 4}}, (0, 4, 4, 4)),
        ("a100-4x", {**SERVERS, "servers": {"per_node": 2}}, (2,)),
    ],
    ids=["all train", "cpu", "servers beside trainers", "a node that only serves", "one node of both"],
)
def test_servers_take_the_first_gpus_of_the_first_nodes(
    preset: str, overrides: dict[str, object], counts: tuple[int, ...]
) -> None:
    assert make_job("torchrun", preset, overrides, **MODEL).preset.trainers_per_node == counts


@pytest.mark.parametrize(
    ("kind", "preset", "nodes_and_gpus"),
    [
        ("torchrun", "a100-16x", (4, 4)),
        ("array", "a100-16x", (1, 1)),
        ("single", "a100-16x", (1, 0)),
        ("array", "cpu", (1, 0)),
    ],
    ids=str,
)
def test_a_kind_takes_what_it_needs(kind: JobKind, preset: str, nodes_and_gpus: tuple[int, int]) -> None:
    job = make_job(kind, preset)
    assert (job.num_nodes, job.gpus_per_node) == nodes_and_gpus
