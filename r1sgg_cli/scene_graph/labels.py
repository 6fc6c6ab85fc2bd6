"""How a label is written: one normal form for object names and predicates, on both sides of every comparison."""

from functools import lru_cache


@lru_cache(maxsize=65_536)
def normalise_label(label: str) -> str:
    """Lower case, `_` and `-` as blanks, blanks collapsed: `"Sky-other_merged "` becomes `"sky other merged"`."""
    return " ".join(label.replace("_", " ").replace("-", " ").lower().split())


@lru_cache(maxsize=65_536)
def object_name(object_id: str) -> str:
    """The normalised class name in an object id: `"traffic-light.12"` becomes `"traffic light"`."""
    return normalise_label(written_name(object_id))


def written_name(object_id: str) -> str:
    """The class name in an object id, as it is written there.

    Only a last part made of digits is a running number, so `"st.bernard"` keeps its dot.
    """
    name, dot, number = object_id.rpartition(".")
    return name if dot and number.strip().isdecimal() else object_id
