"""Frequent and rare predicates: head, body and tail by training frequency.

The field's groups are thirds by rank: of VG150's 50 predicates the 16 most frequent are the head, the next 17 the body,
the last 17 the tail. So is it here for any number of predicates: the head has a third, rounded down, and body and tail
share the rest, the tail taking the odd one. (BGNN, CVPR 2021, cuts by the number of relationships in training instead,
which fits VG150 alone; the lists in its code, PySGG, have 4, 12 and 34 predicates.)
"""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

Group = Literal["head", "body", "tail"]
GROUPS: tuple[Group, ...] = get_args(Group)


def predicate_groups(predicates: Iterable[str], training_counts: Mapping[str, int]) -> dict[str, Group]:
    """The group of each predicate; one that training never showed counts 0, and equal counts go by name."""
    ranked = sorted(set(predicates), key=lambda name: (-training_counts.get(name, 0), name))
    num_head = len(ranked) // 3
    num_body = (len(ranked) - num_head) // 2
    sizes = (num_head, num_body, len(ranked) - num_head - num_body)
    groups = [group for group, size in zip(GROUPS, sizes, strict=True) for _ in range(size)]
    return dict(zip(ranked, groups, strict=True))
