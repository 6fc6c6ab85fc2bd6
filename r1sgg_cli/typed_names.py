"""Names that users type for folders, files and what is on the hub: what they may mean, and what was meant."""

import difflib
from pathlib import Path


def missing_local(name: str) -> str | None:
    """What to say of a name that is meant as a path where nothing is; None for what may be a hub's `owner/name`."""
    path = Path(name)
    beside = path.parent
    is_path = name.startswith(("/", ".", "~")) or name.endswith("/") or len(path.parts) != 2 or beside.is_dir()
    if path.exists() or not is_path:
        return None
    close = closest_beside(path)
    return f"no folder `{name}`" + (f" (did you mean `{close}`?)" if close else "")


def may_be_on_hub(name: str) -> bool:
    """Whether a name is `owner/name`, and nothing lies there on this disk."""
    return not Path(name).exists() and name.count("/") == 1 and not name.startswith((".", "/", "~"))


def adapters_alone(folder: Path) -> str | None:
    """What to say of a folder that has adapters and not the model they belong to, as a run's checkpoints have."""
    if not (folder / "adapter_config.json").is_file() or (folder / "config.json").is_file():
        return None
    return f"`{folder}` holds adapters alone; give the finished run's folder, whose model has them in its weights"


def closest_beside(path: Path) -> Path | None:
    """What has nearly the name of a path where nothing is, in its folder; to share `.json` is no likeness."""
    beside = path.parent
    others = [other for other in beside.iterdir() if not other.name.startswith(".")] if beside.is_dir() else []
    stems = difflib.get_close_matches(path.stem, {other.stem for other in others}, n=1)
    alike = [other.name for other in others if other.stem in stems]
    return (
        beside / max(alike, key=lambda name: difflib.SequenceMatcher(None, name, path.name).ratio()) if alike else None
    )
