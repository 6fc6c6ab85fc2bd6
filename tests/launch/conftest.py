"""A cluster of stand-ins for quick tests, and a real two-node Slurm for slow ones."""

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.stand_ins import Cluster, make_cluster

LOCAL_SLURM = Path(__file__).with_name("local_slurm.sh")


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Stand-ins for `srun`, `torchrun` and the like."""
    return make_cluster(tmp_path / "stand_ins")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Slurm on this machine: nodes n1 and n2, each with 32 CPUs and four cards that are none."""
    missing = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs Slurm and munge, and root to start them: {', '.join(missing) or 'not root'}")
    folder = tmp_path_factory.mktemp("slurm")
    environ = {**os.environ, "BASEPORT": str(_free_ports()), "SLURM_CONF": f"{folder}/slurm.conf"}
    patch = pytest.MonkeyPatch()
    patch.setenv("SLURM_CONF", environ["SLURM_CONF"])
    try:
        started = subprocess.run(["bash", LOCAL_SLURM, "start", folder], env=environ, capture_output=True, text=True)
        assert started.returncode == 0, started.stdout + started.stderr
        yield
    finally:
        subprocess.run(["bash", LOCAL_SLURM, "stop", folder], env=environ, capture_output=True)
        patch.undo()


def _free_ports() -> int:
    """A port above which nothing listens where the cluster's daemons and its `srun` will."""
    while True:
        base = random.randrange(12000, 31000, 500)
        try:
            for port in (*range(base, base + 3), *range(base + 100, base + 110)):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
