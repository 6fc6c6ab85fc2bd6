"""The table of faults is whole, and a tally keeps an example of each kind."""

import re
from pathlib import Path

import r1sgg_cli.data
from r1sgg_cli.data.faults import FAULTS, FILTERS, Tally


def test_every_kind_that_is_counted_has_its_rule() -> None:
    package = Path(r1sgg_cli.data.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py") if path.name != "faults.py")
    known = set(FAULTS) | set(FILTERS)
    assert {kind for kind in known if f'"{kind}"' not in code} == set(), "kinds that nothing counts"
    assert set(re.findall(r'tally\.add\("(\w+)"', code)) <= known


def test_the_first_image_is_the_example() -> None:
    tally, later = Tally(), Tally()
    tally.add("bad_box", "a", 2)
    tally.add("bad_box", "b")
    tally.add("empty_box", "b", 0)
    later.add("bad_box", "c")
    later.add("empty_image", "c")
    tally.update(later)
    assert tally.counts == {"bad_box": 4, "empty_image": 1}
    assert tally.examples == {"bad_box": "a", "empty_image": "c"}
    assert tally.num_faults() == 4, "what is left out by choice is no fault"
    assert Tally.from_json(tally.to_json()) == tally
