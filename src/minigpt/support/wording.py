"""How numbers are said to people: as few digits as tell the truth, and 1 step but 2 steps."""


def counted(n: int, noun: str) -> str:
    """Return "1 step", "2 steps", "1,000 steps"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage that says 0 or 100 only where it is just that.

    What would be rounded to them is said as "<1%" or ">99%", with more digits ">99.9%".
    """
    shown, least = f"{share:.{digits}%}", 10.0 ** -(digits + 2)
    if 0 < share < 1 and float(shown[:-1]) == 0:
        return f"<{least:.{digits}%}"
    if 0 < share < 1 and float(shown[:-1]) == 100:
        return f">{1 - least:.{digits}%}"
    return shown


def to_spell(spelling_bits: float | None) -> str:
    """Return which part of a number of bits per character spells unknown words, "" if none."""
    return f"{decimal(spelling_bits, 3)} of it to spell unknown words" if spelling_bits else ""


def decimal(number: float, digits: int = 2) -> str:
    """Return a number in at most a dozen characters: 1,234.57, or as 1.2e+99 and 3.4e-12."""
    fixed = f"{number:,.{digits}f}"
    too_small = number != 0 and not fixed.strip("-0.,")
    return f"{number:.3g}" if too_small or len(fixed) > 12 else fixed
