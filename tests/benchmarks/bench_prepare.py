"""`r1sgg prepare` from annotations to rows: images a second, and peak memory of all processes, for growing sets.

    python -m tests.benchmarks.bench_prepare [LAYOUT] [NUM_IMAGES …]        vg150-h5, 2000 and 8000 if not given

Photos are noise of 800×600 pixels at JPEG quality 88 (about 140 kB, as Visual Genome's are), twenty of them under many
names; 12 objects and 7 relationships each. Memory should not grow with the number of images.
"""

import io
import subprocess
import sys
import tempfile
import threading
import time
from itertools import product
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tests.data.readers.layouts import WRITERS, Sample

NUM_PHOTOS = 20
IMAGE_WH = (800, 600)


def photos() -> list[bytes]:
    """Encoded files that cost as much to decode as real ones."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(NUM_PHOTOS):
        coarse = Image.fromarray(random.integers(0, 255, (75, 100, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize(IMAGE_WH, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=88)
        files.append(buffer.getvalue())
    return files


def write_source(folder: Path, layout: str, num_images: int) -> Path:
    """A source of so many images in `folder`; what `prepare` is to be told."""
    random = np.random.default_rng(1)
    originals = []
    for number, content in enumerate(photos()):
        originals.append(folder / f"photo-{number}.bin")
        originals[-1].write_bytes(content)
    samples = []
    for number in range(1, num_images + 1):
        (folder / f"{number + 10_000}.jpg").hardlink_to(originals[number % NUM_PHOTOS])
        starts = random.integers(0, (700, 500), (12, 2))
        ends = starts + random.integers(20, 100, (12, 2))
        boxes = np.concatenate([starts, ends], axis=1).tolist()
        objects = tuple((f"thing {random.integers(150)}", (x1, y1, x2, y2)) for x1, y1, x2, y2 in boxes)
        relationships = tuple((i, f"by {random.integers(50)}", i + 1) for i in range(7))
        samples.append(Sample(number + 10_000, IMAGE_WH, objects, relationships))
    return WRITERS[layout](folder, samples)


def watched(argv: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the peak of the memory of its processes in GiB (shared pages counted once)."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            total = 0
            try:
                for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
                    total += one.memory_full_info().pss
            except psutil.Error:  # one of them has just ended
                continue
            peak = max(peak, total)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    began = time.monotonic()
    watcher.start()
    code = process.wait()
    seconds = time.monotonic() - began
    watcher.join()
    assert code == 0, "prepare failed"
    return seconds, peak / 2**30


def main() -> None:
    """Print one line per size."""
    layouts = [text for text in sys.argv[1:] if not text.isdecimal()] or ["vg150-h5"]
    sizes = [int(text) for text in sys.argv[1:] if text.isdecimal()] or [2000, 8000]
    for layout, num_images in product(layouts, sizes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "vg"
            folder.mkdir()
            path = write_source(folder, layout, num_images)
            argv = [sys.executable, "-m", "r1sgg_cli", "prepare", str(path), "--out", f"{name}/out"]
            seconds, peak = watched(argv)
        rate = f"{num_images / seconds:.0f} images/s in all, {seconds:.1f} s, peak {peak:.2f} GiB"
        print(f"{layout}, {num_images} images: {rate}")


if __name__ == "__main__":
    main()
