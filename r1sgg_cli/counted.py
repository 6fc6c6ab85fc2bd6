"""Numbers with what they count, in words."""


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """The number with its noun, such as `"1 object"` or `"1,200 objects"`; `nouns` where an s does not make them."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def times(number: int) -> str:
    """How often: `"once"`, or such as `"12 times"`."""
    return "once" if number == 1 else f"{number:,} times"
