"""A data set written shard by shard: each is whole or absent, and finished ones survive whatever ends the program.

Shards are Arrow streams, which is what `datasets` reads from a saved set, so the finished set is made of links to them:
no image is copied twice, and shards stay where they are until the set stands.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from datasets import Dataset
from datasets.arrow_writer import ArrowWriter

from r1sgg_cli.data.rows import FEATURES, Row
from r1sgg_cli.files import save_text

_ROWS_IN_MEMORY = 16
"""Photos of many megabytes are written as they come."""


def write_shard(rows: Iterable[Row], path: Path) -> None:
    """Write rows to an Arrow file, whole or not at all. Raises `OSError`."""
    partial = path.with_suffix(".partial")
    with ArrowWriter(path=str(partial), features=FEATURES, writer_batch_size=_ROWS_IN_MEMORY) as writer:
        for row in rows:
            writer.write(FEATURES.encode_example(row))
        writer.finalize()
    with partial.open("rb") as file:
        os.fsync(file.fileno())  # a record that the shard is finished must never outlive its content
    partial.replace(path)


def assemble(splits: Mapping[str, Sequence[Path]], folder: Path, identity: str) -> None:
    """Make the data set of these shards in `folder`. `datasets.load_from_disk` reads it.

    `identity` differs between sets of different content: `datasets` keeps what it computed from a set under it.
    """
    for split, shards in splits.items():
        # An empty set writes the library's own description; then the shards take the place of its data.
        Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES).save_to_disk(folder / split)
        for empty in (folder / split).glob("*.arrow"):
            empty.unlink()
        names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
        for shard, name in zip(shards, names, strict=True):
            _link(shard, folder / split / name)
        state_file = folder / split / "state.json"
        state = json.loads(state_file.read_text(encoding="utf-8"))
        fingerprint = hashlib.sha256(f"{split}\0{identity}".encode()).hexdigest()[:16]
        state |= {"_data_files": [{"filename": name} for name in names], "_split": split, "_fingerprint": fingerprint}
        save_text(json.dumps(state, indent=2) + "\n", state_file)
    save_text(json.dumps({"splits": list(splits)}) + "\n", folder / "dataset_dict.json")


def _link(shard: Path, target: Path) -> None:
    try:
        target.hardlink_to(shard)
    except OSError:  # a file system without links
        shutil.copy(shard, target)
