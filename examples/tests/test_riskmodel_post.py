"""The sample model against fake services: all is posted once, nobody is paged for the past."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from collections import Counter
from functools import cache
from pathlib import Path
from unittest.mock import patch

from riskfake import Core, Risk
from support import credentials_file

from riskmodel import FEATURE_SET_VERSION, bodies, run, train
from riskmodel.__main__ import main, parse
from riskmodel.features import faults
from riskmodel.train import Version

CLIENTS, WEEKS = 12, 4
OPTIONS = ["--clients", str(CLIENTS), "--weeks", str(WEEKS), "--batch", "20", "--wait", "3"]


@cache
def data() -> train.TrainingSet:
    return train.training_set(1)


@cache
def fitted(kind: str) -> Version:
    """Trained once for all tests."""
    return train.logistic(data(), 1) if kind == "logistic" else train.boosted(data(), 1)


class PostTest(unittest.TestCase):
    def setUp(self) -> None:
        self.options = parse(["all", *OPTIONS])
        self.core = Core(self)
        self.risk = Risk(self, self.options.now)
        for name, value in (
            ("training_set", lambda _: data()),
            ("logistic", lambda *_: fitted("logistic")),
            ("boosted", lambda *_: fitted("boosted")),
            ("SETTLE_PAUSE_SECONDS", 0.0),
        ):
            patched = patch.object(run, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            services = ["--core", self.core.service.url, "--risk", self.risk.service.url]
            tokens = ["--token-file", str(credentials_file(Path(folder)))]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main([*arguments, *services, *tokens, *OPTIONS])
        return status, out.getvalue(), err.getvalue()

    def study(self) -> run.Study:
        o = self.options
        return run.Study(run.Settings(1, range(1, CLIENTS + 1), WEEKS, o.end, o.now))

    def posts(self) -> Counter[str]:
        requests = self.risk.service.requests
        return Counter(r.path.split("/")[-1] for r in requests if r.method == "POST")

    def test_everything_is_posted_and_the_measures_agree(self) -> None:
        status, out, err = self.run_main()
        self.assertEqual(status, 0, err)
        world = self.study().world
        self.assertEqual(len(self.risk.predictions), 2 * len(world.weeks))
        self.assertEqual(len(self.risk.outcomes), len(world.outcomes))
        self.assertEqual(set(self.core.caseload.values()), {"staff-counselor_other"})
        self.assertEqual(len(self.core.users), CLIENTS)
        self.assertIn("the law itself", out)
        self.assertRegex(out, r"brier +\+0\.0010 +-0\.0020 +\+0\.0040")
        self.assertIn("more at 0.3", out)
        self.assertNotIn("≠", out)
        self.assertNotIn("token-of-", out + err)

    def test_a_prediction_carries_its_snapshot_and_adds_up_in_whole(self) -> None:
        self.run_main("post")
        for item in self.risk.predictions.values():
            self.assertEqual(faults(item["features"]), [])
            self.assertEqual(item["feature_set_version"], FEATURE_SET_VERSION)
            self.assertEqual(item["captured_at"], item["predicted_at"])
            shap = item["explanations"][0]
            values = {part["feature"]: part["value"] for part in shap["contributions"]}
            self.assertEqual(values, item["features"])
            self.assertEqual((shap["method"], shap["link"]), ("shap", "logit"))

    def test_the_candidate_speaks_live_of_this_week_alone_and_its_shadow_never(self) -> None:
        self.run_main("post")
        present = bodies.moment(self.options.end)
        logistic = fitted("logistic").version
        for (_, at, version), stage in self.risk.stage_when_stored.items():
            live = version == logistic and at == present
            self.assertEqual(stage, "live" if live else "shadow")

    def test_with_shadow_only_nothing_goes_live(self) -> None:
        self.run_main("post", "--shadow-only")
        self.assertEqual(set(self.risk.stage_when_stored.values()), {"shadow"})
        self.assertEqual(self.posts()["stage"], 0)

    def test_a_second_run_doubles_nothing(self) -> None:
        self.run_main()
        before = dict(self.risk.predictions), dict(self.risk.outcomes)
        status, _, err = self.run_main()
        self.assertEqual(status, 0)
        self.assertEqual((self.risk.predictions, self.risk.outcomes), before)
        self.assertIn(f"0 clients made, {CLIENTS} were there", err)
        self.assertEqual(self.posts()["stage"], 1)

    def test_a_retry_carries_the_same_key_and_so_does_the_next_run(self) -> None:
        self.risk.away, self.risk.busy = 1, 1
        status, _, _ = self.run_main("post")
        self.assertEqual(status, 0)
        tries = [r for r in self.risk.service.requests if r.path == "/v1/feature-sets"]
        self.assertEqual(len(tries), 3)
        self.run_main("post")
        keys = Counter(
            r.headers["idempotency-key"]
            for r in self.risk.service.requests
            if r.path.startswith("/v1/predictions:batch")
        )
        self.assertEqual(set(keys.values()), {2})

    def test_what_differs_is_refused_by_reason_and_the_rest_is_stored(self) -> None:
        self.run_main("post")
        for key in list(self.risk.predictions)[:3]:
            self.risk.predictions[key] = {**self.risk.predictions[key], "probability": 0.123456}
        status, out, err = self.run_main("post")
        self.assertEqual(status, 1)
        self.assertIn("3 predictions refused with 409: Stands otherwise. Differs.", err)
        self.assertIn(f"{len(self.risk.predictions) - 3} predictions stored", out)

    def test_a_client_that_is_gone_does_not_stop_the_others(self) -> None:
        told = self.study().world.outcomes
        gone = bodies.user_id(told[0].client)
        theirs = sum(outcome.client == told[0].client for outcome in told)
        self.risk.gone = {gone}
        self.assertEqual(self.run_main("post")[0], 0)
        status, out, _ = self.run_main("outcomes")
        self.assertEqual(status, 0)
        self.assertIn(f"{len(told) - theirs} outcomes stored", out)
        self.assertIn(f"{theirs} of clients that are gone", out)
        self.assertNotIn(gone, {key[0] for key in self.risk.predictions})

    def test_labels_that_are_settled_late_are_waited_for(self) -> None:
        self.run_main("post")
        self.run_main("outcomes")
        self.risk.slow = 2
        status, _, err = self.run_main("compare")
        self.assertEqual(status, 0)
        self.assertIn("labels settled", err)

    def test_a_measure_that_is_another_ends_with_one_and_says_what_to_look_at(self) -> None:
        self.run_main("post")
        self.run_main("outcomes")
        self.risk.predictions.popitem()
        status, out, err = self.run_main("compare", "--wait", "1")
        self.assertEqual(status, 1)
        self.assertIn("≠", out)
        self.assertIn("--seed", err)

    def test_the_reasons_are_read_back_as_a_counselor_reads_them(self) -> None:
        _, out, _ = self.run_main("post")
        said = out.split("as the client's counselor reads it", 1)[1]
        self.assertIn("text of", said)
        self.assertIn("+0.5 since the week before", said)
        self.assertIn("VERY_HIGH, live", said)

    def test_a_version_that_nobody_posted_says_so(self) -> None:
        status, _, err = self.run_main("compare", "--wait", "1")
        self.assertEqual(status, 1)
        self.assertIn("answered 404", err)


class CommandTest(unittest.TestCase):
    def refused(self, *arguments: str) -> str:
        err = io.StringIO()
        with contextlib.redirect_stderr(err), self.assertRaises(SystemExit) as end:
            parse(list(arguments))
        self.assertEqual(end.exception.code, 2)
        return err.getvalue()

    def test_wrong_usage_says_why(self) -> None:
        self.assertIn("from 1 to 1000", self.refused("--batch", "1001"))
        self.assertIn("from 1 to 52", self.refused("--weeks", "0"))
        self.assertIn("is no day like", self.refused("--end", "yesterday"))
        self.assertIn("the lives begin on", self.refused("--end", "2020-01-01"))
        self.assertIn("weeks are there up to --end", self.refused("--end", "2025-04-08"))

    def test_an_end_that_is_ahead_is_now(self) -> None:
        self.assertEqual(parse(["--end", "2099-01-01"]).end, parse([]).end)


if __name__ == "__main__":
    unittest.main()
