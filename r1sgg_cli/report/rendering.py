"""A template to one HTML file that opens from disk and asks the network for nothing.

The pages' content security policy forbids every request and every script (that of a report allows its own one, by its
hash), so that even a label or an answer that got past the templates' escaping could do nothing.
"""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML forbids, or UTF-8 cannot hold; a model's answer may contain any of it."""


def render_html(template: str, **values: Any) -> str:
    """The text of a page; every value is escaped, and characters that HTML forbids are replaced."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    """It keeps the templates that it has compiled: a running training writes its page again and again."""
    return Environment(
        loader=PackageLoader("r1sgg_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
