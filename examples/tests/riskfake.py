"""A core and a risk service as the sample model sees them, with their natural keys."""

from __future__ import annotations

import re
import unittest
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from support import FakeService, Reply, Request

from riskmodel import labels
from riskmodel.law import Outcome, Week
from riskmodel.measure import Measured, measure

MODEL = re.compile(r"/v1/models/([\w.-]+)/([\w.-]+)(/stage|/metrics|/compare|/replay)?")
OF_CLIENT = re.compile(r"/v1/users/([\w-]+)/(outcomes|predictions)")


def answer_of(expected: Measured) -> dict[str, Any]:
    """What a service answers that agrees."""
    return {
        "n": expected.n,
        "n_labelled": expected.n_labelled,
        "n_positive": expected.n_positive,
        "measures": {
            name: {"value": value} if value is not None else {"value": None, "reason": "no_labels"}
            for name, value in expected.measures.items()
        },
        "reliability": [
            {
                "from": part.low,
                "until": part.high,
                "n": part.n,
                "mean_score": part.mean_score,
                "observed_rate": part.observed_rate,
            }
            for part in expected.bins
        ],
    }


class Core:
    """Accounts and caseloads."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.users: set[str] = set()
        self.caseload: dict[str, str] = {}
        self.service = FakeService(test, self.answer)

    def answer(self, request: Request) -> Reply:
        if request.path == "/v1/users":
            if request.body["user_id"] in self.users:
                return Reply(409, {"title": "taken"})
            self.users.add(request.body["user_id"])
            return Reply(201, request.body)
        found = re.fullmatch(r"/v1/caseload/([\w-]+)/([\w-]+)", request.path)
        if found is None:
            return Reply(404, {"title": "no such route"})
        self.caseload[found[2]] = found[1]
        return Reply(204)


class Risk:
    """Feature sets, models, predictions, outcomes and measures as of `now`.

    `away` requests get a 503, and `busy` ones a 429, before anything is looked at; `gone` clients
    are erased; `slow` answers of measures lack the last label.
    """

    def __init__(self, test: unittest.TestCase, now: datetime) -> None:
        self.now = now
        self.feature_sets: dict[str, Any] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.predictions: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.outcomes: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.away = self.busy = self.slow = 0
        self.gone: set[str] = set()
        self.stage_when_stored: dict[tuple[str, str, str], str] = {}
        self.service = FakeService(test, self.answer)

    def answer(self, request: Request) -> Reply:
        if self.away:
            self.away -= 1
            return Reply(503, {"title": "away"}, {"Retry-After": "0"})
        if self.busy:
            self.busy -= 1
            return Reply(429, {"title": "too many"}, {"Retry-After": "0"})
        path, _, query = request.path.partition("?")
        if path == "/v1/feature-sets":
            return self.keep(self.feature_sets, request.body["version"], request.body)
        if path == "/v1/models":
            known = self.models.get(request.body["version"], {"stage": "shadow"})
            return self.keep(
                self.models, request.body["version"], {**request.body, "stage": known["stage"]}
            )
        if path == "/v1/predictions:batch":
            return Reply(200, {"items": [self.predict(item) for item in request.body["items"]]})
        if found := MODEL.fullmatch(path):
            return self.of_model(request, found[2], found[3], query)
        if found := OF_CLIENT.fullmatch(path):
            return self.of_client(request, found[1], found[2], query)
        if found := re.fullmatch(r"/v1/predictions/(\d+)", path):
            return self.explained(int(found[1]))
        return Reply(404, {"title": "no such route"})

    def keep(self, place: dict[Any, Any], key: Any, body: Any) -> Reply:
        if place.setdefault(key, body) != body:
            return Reply(409, {"title": "Stands otherwise", "detail": "Post a new version."})
        return Reply(200, body)

    def of_model(self, request: Request, version: str, part: str | None, query: str) -> Reply:
        if version not in self.models:
            return Reply(404, {"title": "not found"})
        if part == "/stage":
            if request.headers["authorization"] != "Bearer token-of-admin":
                return Reply(403, {"title": "not an admin"})
            self.models[version]["stage"] = request.body["stage"]
        if part == "/metrics":
            return Reply(200, self.measures(version, query))
        if part == "/compare":
            other = parse_qs(query)["with"][0]
            difference = {"brier": {"value": 0.001, "low": -0.002, "high": 0.004}}
            body = {"version": version, "with": other, "n_pairs": 9, "differences": difference}
            return Reply(200, body)
        if part == "/replay":
            return Reply(200, {"summary": f"more at {parse_qs(query)['threshold'][0]}"})
        return Reply(200, self.models[version])

    def of_client(self, request: Request, user_id: str, part: str, query: str) -> Reply:
        if user_id in self.gone:
            return Reply(404, {"title": "not found"})
        if part == "predictions":
            if request.headers["authorization"] != "Bearer token-of-counselor_other":
                return Reply(403, {"title": "not a counselor"})
            version = parse_qs(query)["version"][0]
            of_it = [n for n, key in enumerate(self.predictions) if key[0::2] == (user_id, version)]
            return Reply(200, {"items": [{"prediction_id": n} for n in reversed(of_it)]})
        key = (user_id, request.body["kind"], request.body["occurred_at"])
        return self.keep(self.outcomes, key, request.body)

    def predict(self, item: dict[str, Any]) -> dict[str, Any]:
        if item["user_id"] in self.gone:
            return {"problem": {"status": 404, "title": "not found"}}
        key = (item["user_id"], item["captured_at"], item["model_version"])
        if self.predictions.get(key, item) != item:
            return {"problem": {"status": 409, "title": "Stands otherwise", "detail": "Differs."}}
        if key not in self.predictions:
            self.stage_when_stored[key] = self.models[item["model_version"]]["stage"]
        self.predictions[key] = item
        return {"prediction_id": len(self.predictions)}

    def explained(self, place: int) -> Reply:
        key, item = list(self.predictions.items())[place]
        shap = item["explanations"][0]
        parts = [
            {**part, "text": f"text of {part['feature']}", "change": 0.5, "value_before": None}
            for part in sorted(shap["contributions"], key=lambda part: -abs(part["contribution"]))
        ]
        return Reply(
            200,
            {
                "probability": item["probability"],
                "risk_level": "VERY_HIGH",
                "stage": self.stage_when_stored[key],
                "explanations": [{**shap, "contributions": parts}],
            },
        )

    def measures(self, version: str, query: str) -> dict[str, Any]:
        """By the sample's own reference: what is under test is the way there and back."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        last = datetime.fromisoformat(asked["until"]).date()
        items = [
            item
            for item in self.predictions.values()
            if item["model_version"] == version
            and 0 <= (last - _at(item["predicted_at"]).date()).days < int(asked["window"])
        ]
        weeks = [Week(_client(i["user_id"]), _at(i["predicted_at"]), {}, 0.0) for i in items]
        told = [Outcome(_client(who), kind, _at(at)) for who, kind, at in self.outcomes]
        known = labels.labels(weeks, told, self.now)
        if self.slow:
            self.slow -= 1
            known[known.index(False)] = None
        scores = np.array([item["probability"] for item in items])
        return answer_of(measure(scores, known, 0.5))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _client(user_id: str) -> int:
    return int(user_id.removeprefix("client-"))
