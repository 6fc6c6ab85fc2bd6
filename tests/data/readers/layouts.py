"""The same annotated images written in the eight layouts, each as its publishers write it."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

Box = tuple[int, int, int, int]
NAMES = ("person", "tree-merged", "traffic light", "st.bernard", "bike")
PREDICATES = ("riding", "in front of", "on", "looking at")


@dataclass(frozen=True)
class Sample:
    """One annotated image; boxes are `xyxy` in pixels, ends of relationships count the objects from 0."""

    image_id: int
    image_wh: tuple[int, int]
    objects: tuple[tuple[str, Box], ...]
    relationships: tuple[tuple[int, str, int], ...]
    split: str = "train"


def random_samples(seed: int, num_images: int = 8) -> list[Sample]:
    """Images of every shape; the last two are for testing; relationships grouped by subject, as GQA keeps them."""
    random = np.random.default_rng(seed)
    samples = []
    for number in range(num_images):
        width, height = (int(side) for side in random.integers(60, 900, 2))
        num_objects = int(random.integers(2, 8))
        starts = [
            (int(random.integers(0, width - 20)), int(random.integers(0, height - 20))) for _ in range(num_objects)
        ]
        objects = tuple(
            (
                NAMES[int(random.integers(len(NAMES)))],
                (x, y, int(random.integers(x + 5, width + 1)), int(random.integers(y + 5, height + 1))),
            )
            for x, y in starts
        )
        pairs = {(int(random.integers(num_objects)), int(random.integers(num_objects))) for _ in range(6)}
        relationships = tuple(
            (s, PREDICATES[int(random.integers(len(PREDICATES)))], o) for s, o in sorted(pairs) if s != o
        ) or ((0, "on", 1),)
        split = "test" if number >= num_images - 2 else "train"
        samples.append(Sample(101 + 7 * number, (width, height), objects, relationships, split))
    return samples


def object_names(samples: Sequence[Sample]) -> list[str]:
    return sorted({name for sample in samples for name, _ in sample.objects})


def predicates(samples: Sequence[Sample]) -> list[str]:
    return sorted({predicate for sample in samples for _, predicate, _ in sample.relationships})


def write_images(folder: Path, samples: Sequence[Sample]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        Image.new("RGB", sample.image_wh, (sample.image_id % 256, 99, 50)).save(folder / f"{sample.image_id}.jpg")


def write_json(value: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def splits_of(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    return {
        split: found
        for split in ("train", "val", "test")
        if (found := [sample for sample in samples if sample.split == split])
    }


def xywh(box: Box) -> list[int]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def write_jsonl(folder: Path, samples: Sequence[Sample]) -> Path:
    lines = []
    for sample in samples:
        ids = [f"{name}.{number}" for number, (name, _) in enumerate(sample.objects, start=1)]
        lines.append(
            json.dumps(
                {
                    "image": f"{sample.image_id}.jpg",
                    "image_id": sample.image_id,
                    "split": sample.split,
                    "objects": [{"id": i, "bbox": box} for i, (_, box) in zip(ids, sample.objects, strict=True)],
                    "relationships": [
                        {"subject": ids[s], "predicate": p, "object": ids[o]} for s, p, o in sample.relationships
                    ],
                }
            )
        )
    (folder / "own.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "own.jsonl"


def write_psg(folder: Path, samples: Sequence[Sample]) -> Path:
    names, words = object_names(samples), predicates(samples)
    data = [
        {
            "file_name": f"{sample.image_id}.jpg",
            "width": sample.image_wh[0],
            "height": sample.image_wh[1],
            "image_id": str(sample.image_id),
            "pan_seg_file_name": f"{sample.image_id}.png",
            "segments_info": [],
            "annotations": [
                {"bbox": box, "bbox_mode": 0, "category_id": names.index(name)} for name, box in sample.objects
            ],
            "relations": [[s, o, words.index(p)] for s, p, o in sample.relationships],
        }
        for sample in samples
    ]
    content = {"data": data, "thing_classes": names[:1], "stuff_classes": names[1:], "predicate_classes": words}
    test_ids = [sample.image_id for sample in samples if sample.split == "test"]
    write_json({**content, "test_image_ids": test_ids}, folder / "psg.json")
    return folder / "psg.json"


def write_gqa(folder: Path, samples: Sequence[Sample]) -> Path:
    for split, found in splits_of(samples).items():
        graphs: dict[str, Any] = {}
        for sample in found:
            objects: dict[str, Any] = {}
            for number, (name, box) in enumerate(sample.objects):
                x, y, w, h = xywh(box)
                relations = [
                    {"name": p, "object": f"{sample.image_id}{o:03d}"}
                    for s, p, o in sample.relationships
                    if s == number
                ]
                facts = {"name": name, "x": x, "y": y, "w": w, "h": h, "attributes": ["red"], "relations": relations}
                objects[f"{sample.image_id}{number:03d}"] = facts
            size = {"width": sample.image_wh[0], "height": sample.image_wh[1], "location": "street"}
            graphs[str(sample.image_id)] = {**size, "objects": objects}
        write_json(graphs, folder / f"{split}_sceneGraphs.json")
    return folder


def _visual_genome_facts(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": sample.image_id,
            "width": sample.image_wh[0],
            "height": sample.image_wh[1],
            "url": f"https://example.org/VG_100K_2/{sample.image_id}.jpg",
            "coco_id": None,
            "flickr_id": None,
        }
        for sample in samples
    ]


def write_visual_genome(folder: Path, samples: Sequence[Sample]) -> Path:
    """Version 1.2: ids under `object_id`, predicates in mixed case."""
    objects, relationships = [], []
    for sample in samples:
        items = []
        for number, (name, box) in enumerate(sample.objects):
            x, y, w, h = xywh(box)
            item = {"object_id": sample.image_id * 1000 + number, "x": x, "y": y, "w": w, "h": h, "synsets": []}
            items.append({**item, "names": [name]})
        objects.append({"image_id": sample.image_id, "objects": items})
        ends = [{**item, "name": item["names"][0]} for item in items]  # type: ignore[index]
        rows = [
            {"relationship_id": i, "predicate": p.upper(), "synsets": [], "subject": ends[s], "object": ends[o]}
            for i, (s, p, o) in enumerate(sample.relationships)
        ]
        relationships.append({"image_id": sample.image_id, "relationships": rows})
    write_json(objects, folder / "objects.json")
    write_json(relationships, folder / "relationships.json")
    write_json(_visual_genome_facts(samples), folder / "image_data.json")
    return folder


def write_vg150(folder: Path, samples: Sequence[Sample]) -> Path:
    """As the field's own converter writes it: whole numbers at a longer side of 1024, corner cut, size rounded up."""
    names, words = object_names(samples), predicates(samples)
    boxes: list[list[int]] = []
    labels: list[list[int]] = []
    pairs: list[list[int]] = []
    words_of: list[list[int]] = []
    ranges: dict[str, list[int]] = {f"img_to_{end}_{kind}": [] for end in ("first", "last") for kind in ("box", "rel")}
    for sample in samples:
        first_box, first_rel = len(boxes), len(pairs)
        scale = 1024 / max(sample.image_wh)
        for name, (x1, y1, x2, y2) in sample.objects:
            x, y = int(np.floor(x1 * scale)), int(np.floor(y1 * scale))
            w, h = int(np.ceil((x2 - x1) * scale)), int(np.ceil((y2 - y1) * scale))
            boxes.append([x + w // 2, y + h // 2, w, h])
            labels.append([names.index(name) + 1])
        for s, p, o in sample.relationships:
            pairs.append([first_box + s, first_box + o])
            words_of.append([words.index(p) + 1])
        for kind, first, last in (("box", first_box, len(boxes) - 1), ("rel", first_rel, len(pairs) - 1)):
            ranges[f"img_to_first_{kind}"].append(first if last >= first else -1)
            ranges[f"img_to_last_{kind}"].append(last if last >= first else -1)
    with h5py.File(folder / "VG-SGG-with-attri.h5", "w") as file:
        file["boxes_1024"] = np.array(boxes, dtype=np.int32)
        file["boxes_512"] = np.array(boxes, dtype=np.int32) // 2
        file["labels"] = np.array(labels, dtype=np.int64)
        file["relationships"] = np.array(pairs, dtype=np.int32).reshape(-1, 2)
        file["predicates"] = np.array(words_of, dtype=np.int64).reshape(-1, 1)
        file["split"] = np.array([0 if sample.split == "train" else 2 for sample in samples], dtype=np.int32)
        for key, values in ranges.items():
            file[key] = np.array(values, dtype=np.int32)
    dicts = {
        "idx_to_label": {str(i): name for i, name in enumerate(names, start=1)},
        "idx_to_predicate": {str(i): word for i, word in enumerate(words, start=1)},
        "predicate_count": {},
    }
    write_json(dicts, folder / "VG-SGG-dicts-with-attri.json")
    write_json(_visual_genome_facts(samples), folder / "image_data.json")
    return folder


def write_open_images(folder: Path, samples: Sequence[Sample]) -> Path:
    machine_ids = {name: f"/m/{number:05x}" for number, name in enumerate(object_names(samples), start=77)}
    with (folder / "oidv6-class-descriptions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("LabelName", "DisplayName"), *((i, name) for name, i in machine_ids.items())])
    sides_of = [f"{corner}{side}" for side in (1, 2) for corner in ("XMin", "XMax", "YMin", "YMax")]
    head = ["ImageID", "LabelName1", "LabelName2", *sides_of, "RelationshipLabel"]
    box_head = ["ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", "IsOccluded"]
    for split, found in splits_of(samples).items():
        rows: list[Sequence[Any]] = [head]
        box_rows: list[Sequence[Any]] = [box_head]
        for sample in found:
            width, height = sample.image_wh
            sides = [
                [f"{v:.6f}" for v in (x1 / width, x2 / width, y1 / height, y2 / height)]
                for _, (x1, y1, x2, y2) in sample.objects
            ]
            ids = [machine_ids[name] for name, _ in sample.objects]
            box_rows += [[sample.image_id, "xclick", i, 1, *side, 0] for i, side in zip(ids, sides, strict=True)]
            rows += [[sample.image_id, ids[s], ids[o], *sides[s], *sides[o], p] for s, p, o in sample.relationships]
            rows.append([sample.image_id, ids[0], "/m/wooden", *sides[0], *sides[0], "is"])
        spelt = "validation" if split == "val" else split
        for name, table in (("vrd", rows), ("bbox", box_rows)):
            with (folder / f"oidv6-{spelt}-annotations-{name}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(table)
    return folder


def _coco(samples: Sequence[Sample], names: Sequence[str], first_id: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for sample in samples:
        for name, box in sample.objects:
            sides = {"bbox": xywh(box), "area": xywh(box)[2] * xywh(box)[3], "iscrowd": 0}
            key = {"id": first_id + len(annotations), "image_id": sample.image_id}
            annotations.append({**key, "category_id": names.index(name) + first_id, **sides})
    images = [
        {"id": s.image_id, "file_name": f"{s.image_id}.jpg", "width": s.image_wh[0], "height": s.image_wh[1]}
        for s in samples
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=first_id)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_sgg_benchmark(folder: Path, samples: Sequence[Sample]) -> Path:
    names, words = object_names(samples), predicates(samples)
    for split, found in splits_of(samples).items():
        content = _coco(found, names, first_id=0)
        rows: list[dict[str, Any]] = []
        first = 0
        for sample in found:
            for s, p, o in sample.relationships:
                ends = {"subject_id": first + s, "object_id": first + o, "predicate_id": words.index(p)}
                rows.append({"id": len(rows), "image_id": sample.image_id, **ends})
            first += len(sample.objects)
        rel_categories = [{"id": i, "name": word} for i, word in enumerate(words)]
        spelt = "valid" if split == "val" else split
        write_json(
            {**content, "rel_categories": rel_categories, "rel_annotations": rows},
            folder / spelt / "_annotations.coco.json",
        )
    return folder


def write_reltr(folder: Path, samples: Sequence[Sample]) -> Path:
    names, words = object_names(samples), ["__background__", *predicates(samples)]
    rel: dict[str, Any] = {"train": {}, "val": {}, "test": {}, "rel_categories": words}
    for split, found in splits_of(samples).items():
        write_json(_coco(found, names, first_id=1), folder / f"{split}.json")
        for sample in found:
            rows = [[s, o, words.index(p)] for s, p, o in sample.relationships]
            rel[split][str(sample.image_id)] = rows
    write_json(rel, folder / "rel.json")
    return folder


WRITERS: Mapping[str, Callable[[Path, Sequence[Sample]], Path]] = {
    "jsonl": write_jsonl,
    "psg": write_psg,
    "gqa": write_gqa,
    "visual-genome": write_visual_genome,
    "vg150-h5": write_vg150,
    "open-images": write_open_images,
    "sgg-benchmark": write_sgg_benchmark,
    "reltr": write_reltr,
}
"""Eight layouts; each writer returns what a user would name to `r1sgg prepare`."""
