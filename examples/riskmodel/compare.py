"""The service's own measures beside those of scikit-learn, and a reliability plot in text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apiclient.table import render
from riskmodel.measure import Bin, Measured

MAX_DIFFERENCE = 1e-9
REQUIRED = ("brier", "log_loss", "ece", "auroc", "auprc")  # others, where the service has them
COUNTS = ("n", "n_labelled", "n_positive")
PLOT_CELLS = 50
ENDS = ("value", "low", "high")
SAID, OBSERVED, BOTH = "○", "●", "◉"


@dataclass(frozen=True)
class Row:
    """One line of the table; numbers where both have one."""

    name: str
    service: str
    reference: str
    difference: str
    agrees: bool


def rows(answer: dict[str, Any], expected: Measured) -> list[Row]:
    """Counts, measures and bins of the service's answer beside what is expected."""
    found = [_exact(name, answer.get(name), getattr(expected, name)) for name in COUNTS]
    measures = answer.get("measures") or {}
    for name, value in expected.measures.items():
        if name in measures or name in REQUIRED:
            found.append(_close(name, measures.get(name) or {}, value))
    found.append(_bins(answer.get("reliability") or [], expected.bins))
    return found


def table(found: list[Row]) -> str:
    """The rows for a terminal."""
    headers = ("measure", "service", "scikit-learn", "difference", "")
    lines = [
        (row.name, row.service, row.reference, row.difference, "=" if row.agrees else "≠")
        for row in found
    ]
    return render(headers, lines)


def plot(bins: list[Bin]) -> str:
    """A line for each bin that has predictions: what the model says, what came of it."""
    lines = [f"{'said':>9}  0{'─' * (PLOT_CELLS - 2)}1  {'n':>5}  mean  rate"]
    for part in bins:
        if not part.n:
            continue
        cells = ["·"] * PLOT_CELLS
        said, observed = _cell(part.mean_score), _cell(part.observed_rate)
        cells[said], cells[observed] = SAID, OBSERVED
        if said == observed:
            cells[said] = BOTH
        lines.append(
            f"{part.low:.1f} – {part.high:.1f}  {''.join(cells)}  {part.n:>5}  "
            f"{part.mean_score:.2f}  {part.observed_rate:.2f}"
        )
    legend = f"{SAID} what the model says on average, {OBSERVED} how many relapsed, {BOTH} both"
    return "\n".join([*lines, legend])


def differences(answer: dict[str, Any]) -> str:
    """Two versions over the same clients and days, as the service compares them."""
    found = [
        (name, *("–" if part.get(end) is None else f"{part[end]:+.4f}" for end in ENDS))
        for name, part in (answer.get("differences") or {}).items()
        if name in REQUIRED
    ]
    title = (
        f"{answer.get('with')} less {answer.get('version')}, on {answer.get('n_pairs')}"
        " clients' days; 95 % between low and high"
    )
    return f"{title}\n\n{render(('measure', 'difference', 'low', 'high'), found)}"


def service_bins(answer: dict[str, Any]) -> list[Bin]:
    """The bins of an answer, for the plot."""
    return [
        Bin(part["from"], part["until"], part["n"], part["mean_score"], part["observed_rate"])
        for part in answer.get("reliability") or []
    ]


def _cell(share: float | None) -> int:
    return min(int((share or 0.0) * PLOT_CELLS), PLOT_CELLS - 1)


def _exact(name: str, given: Any, expected: int) -> Row:
    same = given == expected
    return Row(name, str(given), str(expected), "0" if same else "", same)


def _close(name: str, given: dict[str, Any], expected: float | None) -> Row:
    value = given.get("value")
    if value is None or expected is None:
        reason = given.get("reason") or ("none" if value is None else _shown(value))
        reference = "not defined" if expected is None else _shown(expected)
        return Row(name, reason, reference, "", value is None and expected is None)
    off = abs(value - expected)
    return Row(name, _shown(value), _shown(expected), f"{off:.1e}", off <= MAX_DIFFERENCE)


def _bins(given: list[dict[str, Any]], expected: list[Bin]) -> Row:
    def near(one: float | None, other: float | None) -> bool:
        if one is None or other is None:
            return one is other
        return abs(one - other) <= MAX_DIFFERENCE

    agree = sum(
        part.get("n") == other.n
        and near(part.get("mean_score"), other.mean_score)
        and near(part.get("observed_rate"), other.observed_rate)
        for part, other in zip(given, expected, strict=False)
    )
    agrees = agree == len(expected) == len(given)
    said = f"{agree} of {len(expected)} the same"
    return Row("reliability bins", said, f"{len(expected)} bins", "", agrees)


def _shown(value: float) -> str:
    return f"{value:.12f}"
