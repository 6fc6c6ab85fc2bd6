"""What starts training processes on one node and on several."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from r1sgg_cli.launch.torchrun import NodeRank, torchrun_argv

TORCHRUN = Path(sys.executable).with_name("torchrun")
SUM_OF_RANKS = """\
import os, torch, torch.distributed as distributed
distributed.init_process_group("gloo")
rank, size = distributed.get_rank(), distributed.get_world_size()
total = torch.tensor([rank])
distributed.all_reduce(total)
os.write(1, f"rank {rank} of {size}: {total.item()}\\n".encode())  # at once: both processes write to one log
distributed.destroy_process_group()
"""


def test_one_node_needs_no_address() -> None:
    argv = torchrun_argv(["worker", "runs/a"], 4, torchrun="/venv/bin/torchrun")
    assert " ".join(argv) == "/venv/bin/torchrun --standalone --nproc-per-node 4 -m r1sgg_cli worker runs/a"


def test_each_of_several_nodes_is_told_its_rank_and_the_first_nodes_address() -> None:
    argv = torchrun_argv(["worker", "runs/a"], 4, NodeRank(3, "2", "n1", "15000"))
    places = "--nnodes 3 --node-rank 2 --master-addr n1 --master-port 15000"
    assert argv == f"torchrun {places} --nproc-per-node 4 -m r1sgg_cli worker runs/a".split()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_program(folder: Path) -> None:
    """A package that stands for ours and adds up ranks."""
    (folder / "r1sgg_cli").mkdir(parents=True)
    (folder / "r1sgg_cli" / "__init__.py").touch()
    (folder / "r1sgg_cli" / "__main__.py").write_text(SUM_OF_RANKS, encoding="utf-8")


@pytest.mark.slow
def test_nodes_may_differ_in_their_number_of_processes(tmp_path: Path) -> None:
    write_program(tmp_path)
    port = str(free_port())
    nodes = [
        subprocess.Popen(
            torchrun_argv([], count, NodeRank(2, str(node), "127.0.0.1", port), torchrun=str(TORCHRUN)),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for node, count in enumerate((1, 2))
    ]
    printed = "".join(node.communicate(timeout=400)[0] for node in nodes)
    assert sorted(printed.splitlines()) == [f"rank {rank} of 3: 3" for rank in range(3)]
