"""The command that starts a node's training processes.

Several nodes are launched statically: the first node is told to each, and a node's rank is its place in the job. The
c10d rendezvous gives rank 0 to whoever comes first, whose address nobody was told.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeRank:
    """One node's place among several; as text, because a job script lets the job say it."""

    num_nodes: int
    node_rank: str
    master_addr: str
    """The node of rank 0."""
    master_port: str


def torchrun_argv(
    command: Sequence[str], num_processes: int, rank: NodeRank | None = None, *, torchrun: str = "torchrun"
) -> list[str]:
    """`r1sgg COMMAND` in `num_processes` processes of this machine, or of this node of several (counts may differ)."""
    if rank is None:
        where = ["--standalone"]
    else:
        where = ["--nnodes", str(rank.num_nodes), "--node-rank", rank.node_rank]
        where += ["--master-addr", rank.master_addr, "--master-port", rank.master_port]
    return [torchrun, *where, "--nproc-per-node", str(num_processes), "-m", "r1sgg_cli", *command]
