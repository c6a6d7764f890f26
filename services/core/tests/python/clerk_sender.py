"""Sends webhooks to core as Clerk does, signed by the official `svix` package, and prints the statuses as JSON.

The environment's DELIVERIES is a list of {"id", "body"}, where "secret", "age_seconds" and "sent_body" may say that a
delivery is signed with another secret, was signed so long ago, or carries another body than was signed.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone

import requests
from svix.webhooks import Webhook

SECRET = os.environ["CLERK_SECRET"]
URL = f"{os.environ['RECOVERLY_CORE_URL']}/v1/webhooks/clerk"


def send(session: requests.Session, delivery: dict) -> int:
    signed_at = datetime.now(tz=timezone.utc) - timedelta(seconds=delivery.get("age_seconds", 0))
    body = json.dumps(delivery["body"])
    signature = Webhook(delivery.get("secret", SECRET)).sign(delivery["id"], signed_at, body)
    headers = {
        "content-type": "application/json",
        "svix-id": delivery["id"],
        "svix-timestamp": str(int(signed_at.timestamp())),
        "svix-signature": signature,
    }
    sent = json.dumps(delivery["sent_body"]) if "sent_body" in delivery else body
    return session.post(URL, data=sent, headers=headers, timeout=30).status_code


def main() -> None:
    with requests.Session() as session:
        print(json.dumps([send(session, delivery) for delivery in json.loads(os.environ["DELIVERIES"])]))


if __name__ == "__main__":
    main()
