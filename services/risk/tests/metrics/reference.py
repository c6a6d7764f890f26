"""What scikit-learn and numpy say about made predictions, as reference.json: the Rust tests read it.

    .dev/venv/bin/python services/risk/tests/metrics/reference.py --write    makes reference.json
    .dev/venv/bin/python services/risk/tests/metrics/reference.py --check    exit status 1 unless it says the same again

Everything is measured by scikit-learn where it has the measure; calibration error, PSI and the bootstrap are written here
from their definitions, not from the Rust code. null stands for what is not defined. Scores are integer millionths.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

FIXTURE = Path(__file__).with_name("reference.json")
MICROS = 1_000_000
SEED = 20_260_101
TOLERANCE = 1e-9
METRICS = ("prevalence", "brier", "log_loss", "calibration_error", "auroc", "average_precision", "precision", "recall")

Json = dict[str, Any]


# Labelled predictions


def labelled_cases() -> Iterator[Json]:
    """(name, threshold, scores, labels), random and adversarial."""
    random = np.random.default_rng(SEED)

    def case(name: str, threshold: int, scores: Any, labels: Any) -> Json:
        return {"name": name, "threshold": threshold, "scores": list(map(int, scores)), "labels": list(map(int, labels))}

    for n in (2, 3, 10, 1_000):
        scores = random.integers(0, MICROS + 1, n)
        labels = random.integers(0, 2, n)
        yield case(f"labels without any relation to {n} scores", 500_000, scores, labels)
    scores = random.beta(1, 6, 2_000)
    labels = random.random(2_000) < scores
    yield case("calibrated and rare", 300_000, (scores * MICROS).round(), labels)
    yield case("overconfident", 900_000, (scores**0.3 * MICROS).round(), labels)
    yield case("five distinct scores", 600_000, random.choice([0, 250_000, 600_000, 600_001, MICROS], 500), labels[:500])
    yield case("a score for all", 400_000, [400_000] * 50, labels[:50])
    yield case("no alert", MICROS, random.integers(0, MICROS, 60), labels[:60])
    yield case("everybody is an alert", 0, random.integers(0, MICROS, 60), labels[:60])
    yield case("edges of the bins", 500_000, [edge * 100_000 for edge in range(11)] * 3, [0, 1, 0] * 11)
    yield case("below the edges of the bins", 500_000, [edge * 100_000 - 1 for edge in range(1, 11)], [0, 1] * 5)
    yield case("only negatives", 500_000, random.integers(0, MICROS + 1, 40), [0] * 40)
    yield case("only positives", 500_000, random.integers(0, MICROS + 1, 40), [1] * 40)
    yield case("sure and right", 500_000, [0, 0, MICROS, MICROS], [0, 0, 1, 1])
    yield case("sure and wrong", 500_000, [MICROS, MICROS, 0, 0, 0], [0, 0, 1, 1, 1])
    yield case("zero and one among others", 500_000, [0, 0, 1, 999_999, MICROS, MICROS, 500_000], [0, 1, 1, 0, 0, 1, 1])
    yield case("one negative", 500_000, [700_000], [0])
    yield case("one positive", 500_000, [700_000], [1])
    yield case("nothing", 500_000, [], [])


def measures(scores: Any, labels: Any, threshold: int, weights: Any = None) -> Json:
    """The measures by name; `weights` repeat a prediction so many times."""
    if weights is not None:
        scores, labels = np.repeat(scores, weights), np.repeat(labels, weights)
    micros, labels = np.asarray(scores, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    if not len(labels):
        return dict.fromkeys(METRICS)
    probabilities, alerts = micros / MICROS, (micros >= threshold).astype(int)
    any_positive, any_negative = bool(labels.any()), not labels.all()
    return {
        "prevalence": float(labels.mean()),
        "brier": float(brier_score_loss(labels, probabilities, pos_label=1)),
        "log_loss": float(log_loss(labels, probabilities, labels=[0, 1])),
        "calibration_error": calibration_error(probabilities, labels),
        "auroc": float(roc_auc_score(labels, probabilities)) if any_positive and any_negative else None,
        "average_precision": float(average_precision_score(labels, probabilities)) if any_positive else None,
        "precision": float(precision_score(labels, alerts)) if alerts.any() else None,
        "recall": float(recall_score(labels, alerts)) if any_positive else None,
    }


def reliability(probabilities: Any, labels: Any) -> list[list[float | None]]:
    """Count, mean score and observed rate of the bins [0, 0.1), …, [0.9, 1]: those of numpy's histogram."""
    edges = np.arange(11) / 10
    counts, _ = np.histogram(probabilities, edges)
    scores, _ = np.histogram(probabilities, edges, weights=probabilities)
    positives, _ = np.histogram(probabilities, edges, weights=labels)
    return [
        [int(n), float(score / n) if n else None, float(positive / n) if n else None]
        for n, score, positive in zip(counts, scores, positives, strict=True)
    ]


def calibration_error(probabilities: Any, labels: Any) -> float:
    """Each bin's distance between mean score and rate, by its share of the predictions."""
    bins = reliability(probabilities, labels)
    return sum(n / len(labels) * abs(score - rate) for n, score, rate in bins if n)  # type: ignore[operator]


def labelled() -> list[Json]:
    found = []
    for case in labelled_cases():
        scores, labels = np.array(case["scores"]) / MICROS, np.array(case["labels"])
        expected = measures(case["scores"], case["labels"], case["threshold"])
        found.append(case | {"expected": expected, "bins": reliability(scores, labels)})
    return found


# Stability


def number_cases() -> Iterator[tuple[str, list[float | None], list[float | None]]]:
    random = np.random.default_rng(SEED + 1)

    def normal(mean: float, n: int, deviation: float = 1) -> list[float | None]:
        return [round(float(value), 4) for value in random.normal(mean, deviation, n)]

    yield "the same law", normal(0, 500), normal(0, 400)
    yield "a shifted mean", normal(0, 500), normal(1, 400)
    yield "a wider law", normal(0, 500), normal(0, 333, 3)
    yield "nothing in common", normal(0, 100), normal(50, 100)
    yield "fewer values than bins", [1.0, 2.0, 3.0], [1.0, 1.0, 4.0]
    yield "one value each", [1.0], [2.0]
    yield "counts with many ties", *([float(v) for v in random.poisson(rate, 300)] for rate in (1.2, 2.0))
    yield "mostly the greatest value", [0.0] * 5 + [1.0] * 95, [0.0] * 40 + [1.0] * 60
    yield "constant, then lower", [5.0] * 30, [4.0] * 10 + [5.0] * 20
    yield "constant", [5.0] * 30, [5.0] * 7
    yield "more missing", normal(0, 200) + [None] * 10, normal(0, 100) + [None] * 100
    yield "all missing, then none", [None] * 20, normal(0, 20)


def quantile_edges(values: list[float]) -> list[float]:
    """The nine inner deciles, each the smallest value at or below which that share lies; sorted, with repetitions."""
    ordered = sorted(values)
    return [ordered[-(-len(ordered) * tenths // 10) - 1] for tenths in range(1, 10)] if ordered else []


def bin_name(value: float | None, edges: list[float]) -> tuple[str, float]:
    """Which bin a value is in, by a name: an edge that occurs twice is a bin of its own."""
    if value is None:
        return ("missing", 0.0)
    if edges.count(value) > 1:
        return ("alone", value)
    return ("below", min((edge for edge in edges if value <= edge), default=math.inf))


def psi(reference: Sequence[Any], current: Sequence[Any]) -> float:
    """Of categories: each share is at least 1e-4."""
    before, now = Counter(reference), Counter(current)
    total = 0.0
    for category in before.keys() | now.keys():
        expected = max(before[category] / len(reference), 1e-4)
        actual = max(now[category] / len(current), 1e-4)
        total += (actual - expected) * math.log(actual / expected)
    return total


def numbers() -> list[Json]:
    found = []
    for name, reference, current in number_cases():
        edges = quantile_edges([value for value in reference if value is not None])
        index = psi(*([bin_name(value, edges) for value in window] for window in (reference, current)))
        found.append({"name": name, "reference": reference, "current": current, "psi": index})
    return found


def categories() -> list[Json]:
    cases = {
        "the same": (["a", "b", "b"], ["b", "a", "b"]),
        "one is new, one is gone, one is missing": (["a"] * 6 + ["b"] * 4, ["a"] * 5 + ["c"] * 3 + [None] * 2),
        "true and false": (["true"] * 30 + ["false"] * 70, ["true"] * 60 + ["false"] * 40),
    }
    return [
        {"name": name, "reference": reference, "current": current, "psi": psi(reference, current)}
        for name, (reference, current) in cases.items()
    ]


# Resamples


class Draws:
    """PCG64 (XSL RR 128/64) of numpy, begun as the PCG paper does: state and stream are given."""

    MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645

    def __init__(self, state: int, stream: int = 0) -> None:
        increment = (stream << 1 | 1) % 2**128
        begun = ((state + increment) * self.MULTIPLIER + increment) % 2**128
        self.bits = np.random.PCG64()
        self.bits.state = self.bits.state | {"state": {"state": begun, "inc": increment}}

    def weights(self, clients: int) -> Any:
        """How often each client is drawn."""
        drawn = [int(self.bits.random_raw()) * clients >> 64 for _ in range(clients)]
        return np.bincount(drawn, minlength=clients)


def interval(estimate: float | None, values: list[float | None], resamples: int) -> Json | None:
    defined = [value for value in values if value is not None]
    if estimate is None or len(defined) < 0.9 * resamples:
        return None
    low, high = np.quantile(defined, [0.025, 0.975])
    return {"estimate": estimate, "low": float(low), "high": float(high), "defined": len(defined)}


def bootstrap_case(name: str, clients: int, days: int, rate: float, seed: int) -> Json:
    """Two versions over the same clients and days: intervals of the first, and of the difference."""
    random = np.random.default_rng(SEED + seed)
    client = np.repeat(np.arange(clients), days)
    risk = np.repeat(random.beta(20 * rate, 20 * (1 - rate), clients), days)
    labels = (random.random(clients * days) < risk).astype(int)
    versions = [
        (np.clip(risk + random.normal(0, noise, len(risk)), 0, 1).round(3) * MICROS).round().astype(int)
        for noise in (0.1, 0.05)
    ]
    thresholds, resamples = (400_000, 350_000), 100
    everyone = np.ones(clients, dtype=int)

    def measured(weights: Any) -> tuple[Json, Json]:
        first, second = (
            measures(scores, labels, threshold, weights[client])
            for scores, threshold in zip(versions, thresholds, strict=True)
        )
        differences = {
            metric: None if first[metric] is None or second[metric] is None else second[metric] - first[metric]
            for metric in METRICS
        }
        return first, differences

    draws = Draws(seed)
    estimates, resampled = measured(everyone), [measured(draws.weights(clients)) for _ in range(resamples)]
    first, differences = (
        {
            metric: interval(estimates[part][metric], [found[part][metric] for found in resampled], resamples)
            for metric in METRICS
        }
        for part in (0, 1)
    )
    return {
        "name": name,
        "seed": seed,
        "resamples": resamples,
        "thresholds": thresholds,
        "clients": client.tolist(),
        "labels": labels.tolist(),
        "first": versions[0].tolist(),
        "second": versions[1].tolist(),
        "intervals": first,
        "differences": differences,
    }


def reference() -> Json:
    """All of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns of what it does not define
        return {
            "labelled": labelled(),
            "numbers": numbers(),
            "categories": categories(),
            "bootstrap": [
                bootstrap_case("forty clients", 40, 7, 0.3, 7),
                bootstrap_case("resamples in which nobody relapses", 12, 3, 0.12, 2),
                bootstrap_case("too many of them", 8, 3, 0.12, 2**64 - 1),
            ],
        }


def differences(kept: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where two documents differ; numbers may by 1e-9, as versions and machines add in another order."""
    if isinstance(kept, dict) and isinstance(found, dict) and kept.keys() == found.keys():
        for key in kept:
            yield from differences(kept[key], found[key], f"{place}/{key}")
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for at, (one, other) in enumerate(zip(kept, found, strict=True)):
            yield from differences(one, other, f"{place}/{at}")
    elif isinstance(kept, float) and isinstance(found, float):
        if abs(kept - found) > TOLERANCE:
            yield f"{place}: {kept} is kept, {found} is found"
    elif kept != found:
        yield f"{place}: {kept!r:.80} is kept, {found!r:.80} is found"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true")
    what.add_argument("--check", action="store_true")
    document = json.loads(json.dumps(reference()))
    if parser.parse_args().write:
        parts = (f"{json.dumps(part)}: {json.dumps(document[part], separators=(',', ':'))}" for part in document)
        FIXTURE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
        return 0
    faults = list(differences(json.loads(FIXTURE.read_text(encoding="utf-8")), document))
    print("\n".join(faults) or "reference.json is what scikit-learn and numpy say")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
