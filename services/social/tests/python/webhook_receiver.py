"""Looks at webhooks as their receiver does, with the official `standardwebhooks` package, and prints which are good as
JSON.

The environment's RECEIVED is a list of {"headers", "body"} as they came over the wire.
"""

from __future__ import annotations

import json
import os

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = os.environ["WEBHOOK_SECRET"]


def is_good(received: dict) -> bool:
    try:
        Webhook(SECRET).verify(received["body"], received["headers"])
    except WebhookVerificationError:
        return False
    return True


def main() -> None:
    print(json.dumps([is_good(received) for received in json.loads(os.environ["RECEIVED"])]))


if __name__ == "__main__":
    main()
