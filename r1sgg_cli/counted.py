"""Numbers with what they count, in words."""


def counted(number: int, noun: str) -> str:
    """The number with its noun, such as `"1 object"` or `"1,200 objects"`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """How often: `"once"`, or such as `"12 times"`."""
    return "once" if number == 1 else f"{number:,} times"
