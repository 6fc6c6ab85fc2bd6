"""One reader for each annotation layout, behind one table."""

from collections.abc import Callable, Mapping
from pathlib import Path

from r1sgg_cli.data.annotations import AnnotationSource
from r1sgg_cli.data.readers.coco_rel import open_coco_rel
from r1sgg_cli.data.readers.gqa import open_gqa
from r1sgg_cli.data.readers.jsonl import open_jsonl
from r1sgg_cli.data.readers.open_images import open_open_images
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.psg import open_psg
from r1sgg_cli.data.readers.vg150_h5 import open_vg150
from r1sgg_cli.data.readers.visual_genome import open_visual_genome

READERS: Mapping[str, Callable[[Path, ReadOptions], AnnotationSource]] = {
    "vg150-h5": open_vg150,
    "psg": open_psg,
    "visual-genome": open_visual_genome,
    "open-images": open_open_images,
    "gqa": open_gqa,
    "coco-rel": open_coco_rel,
    "jsonl": open_jsonl,
}
"""Layout → what opens a file or folder of it."""
