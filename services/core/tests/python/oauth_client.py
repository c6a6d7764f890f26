"""An ordinary OAuth 2 client, `requests-oauthlib`, against core: a token by header and by form, its use, what it is worth
and its end. Exit status 1 with the reason where anything is not as an ordinary program expects it."""

from __future__ import annotations

import os
import time

# The library asks for https, which a gateway brings.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error  # noqa: E402
from requests.auth import HTTPBasicAuth  # noqa: E402
from requests_oauthlib import OAuth2Session  # noqa: E402

CORE = os.environ["RECOVERLY_CORE_URL"]
CLIENT_ID = os.environ["RECOVERLY_CLIENT_ID"]
CLIENT_SECRET = os.environ["RECOVERLY_CLIENT_SECRET"]
TOKEN_URL = f"{CORE}/oauth/token"


def session(scope: list[str] | None = None) -> OAuth2Session:
    return OAuth2Session(client=BackendApplicationClient(client_id=CLIENT_ID, scope=scope))


def main() -> None:
    by_header = session()
    token = by_header.fetch_token(TOKEN_URL, auth=HTTPBasicAuth(CLIENT_ID, CLIENT_SECRET))
    assert token["expires_in"] == 3600 and token["expires_at"] > time.time(), token
    me = by_header.get(f"{CORE}/v1/me")
    assert me.status_code == 200 and me.json()["id"] == CLIENT_ID, me.text

    by_form = session(["messages:write"])
    token = by_form.fetch_token(TOKEN_URL, client_secret=CLIENT_SECRET, include_client_id=True)
    assert token.scope == "messages:write", token
    assert by_form.get(f"{CORE}/v1/me").json()["scopes"] == ["messages:write"]

    worth = by_form.post(
        f"{CORE}/oauth/introspect",
        data={"token": token["access_token"]},
        auth=HTTPBasicAuth(CLIENT_ID, CLIENT_SECRET),
        withhold_token=True,
    )
    assert worth.json()["active"] is True, worth.text
    ended = by_form.post(
        f"{CORE}/oauth/revoke",
        data={"token": token["access_token"]},
        auth=HTTPBasicAuth(CLIENT_ID, CLIENT_SECRET),
        withhold_token=True,
    )
    assert ended.status_code == 200, ended.text

    refusals = {
        "invalid_scope": lambda: session(["users:write"]).fetch_token(TOKEN_URL, client_secret=CLIENT_SECRET, include_client_id=True),
        "invalid_client": lambda: session().fetch_token(TOKEN_URL, auth=HTTPBasicAuth(CLIENT_ID, "rcs_wrong")),
    }
    for word, ask in refusals.items():
        try:
            ask()
        except OAuth2Error as refused:
            assert refused.error == word, refused
        else:
            raise AssertionError(f"{word} was not said")


if __name__ == "__main__":
    main()
