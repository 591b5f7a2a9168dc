"""Whether a comparison is one: every contender has run, and what has our noise has our loss."""

from processes import LATE
from report import beside

#: How far the loss may be from ours with the same noise, in the first window: what rounding does grows step by step.
#: On a GPU sums have no fixed order, and products may be coarser.
APART = {"cpu": 0.002, "cuda": 0.01}
#: What a row that needs another one says where that failed.
NO_START = "ours did not write where it begins"


def complaints(rows: list[dict], device: str) -> list[str]:
    """A line for every cause."""
    return failures(rows) + differences(rows, device)


def failures(rows: list[dict]) -> list[str]:
    """Every reason why contenders failed, with who and where they are. A time that was too short is none."""
    found = {}
    for row in rows:
        reason = row.get("error")
        if reason and reason not in (LATE, NO_START):
            contenders, places = found.setdefault(reason, ({}, {}))
            contenders[row["contender"]] = places[place(row)] = True
    return [f"{', '.join(contenders)} on {', '.join(places)}: {reason}"
            for reason, (contenders, places) in found.items()]


def differences(rows: list[dict], device: str) -> list[str]:
    """Losses with the same noise that are not ours."""
    found = []
    for row in rows:
        ours = beside(rows, row)
        same_noise = row["contender"].endswith("same-noise") and "error" not in row
        if not ours or not same_noise:
            continue
        theirs, expected = row["losses"][0], ours["losses"][0]
        apart = abs(theirs / expected - 1)
        if not apart <= APART[device]:  # nor is a loss that is no number ours
            found.append(f"{row['contender']} on {place(row)}: its first loss is {theirs:.6g} and ours {expected:.6g}, "
                         f"{100 * apart:.2g} % apart; {100 * APART[device]:g} % is rounding")
    return found


def place(row: dict) -> str:
    return f"{row['network']}/{row['batch']}"
