"""How numbers are said to people: as few digits as tell the truth, and 1 step but 2 steps."""


def counted(n: int, noun: str) -> str:
    """Return "1 step", "2 steps", "1,000 steps"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage that says 0 or 100 only where it is just that.

    What would be rounded there is said as "<1%" or ">99%", as sure as the digits allow.
    """
    shown, step = f"{share:.{digits}%}", 10.0 ** -(digits + 2)
    if 0 < share < 1 and float(shown[:-1]) == 0:
        return f"<{step:.{digits}%}"
    if 0 < share < 1 and float(shown[:-1]) == 100:
        return f">{1 - step:.{digits}%}"
    return shown


def large(number: float) -> str:
    """Return a number of any size in at most a dozen characters: 0.00012, 1,234.57, 1.2e+99."""
    return f"{number:,.2f}" if 0.01 <= number < 1e6 or number == 0 else f"{number:.3g}"
