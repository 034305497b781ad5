"""Requests to a forge: spaced, patient where the forge asks for patience, and silent about the token.

Limits: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api,
https://docs.gitlab.com/security/rate_limits/. Waiting: Retry-After, else the time at which the limit is reset, else
ever longer. What was certainly not done is sent again; of what creates something, nothing else is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import stamina

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.forge import ForgeError, Pace, Unsure
from dockfix.fleet.secret import Secret, origin_of

_ATTEMPTS: Final = 6
_PAGES: Final = 1000
_LONGEST: Final = 4000.0
"""Seconds; a limit by the hour is over by then."""


class _Again(Exception):
    """The forge asks to send it again, in *wait* seconds where it says so."""

    def __init__(self, response: httpx.Response | None, wait: float | None, error: Exception | None = None) -> None:
        super().__init__()
        self.response = response
        self.wait = wait
        self.error = error


class _Object(dict[str, Any]):
    """A JSON object; a key that it has not is the forge's fault."""

    def __missing__(self, key: str) -> Any:
        raise ForgeError(f"the forge's answer holds no {key}")


class Api:
    """A forge's REST interface below one address."""

    def __init__(self, base: str, headers: Mapping[str, str], secret: Secret, pace: Pace, back_off: float) -> None:
        self._base = base
        self._secret = secret
        self._pace = pace
        self._back_off = back_off
        stamina.instrumentation.set_on_retry_hooks(())  # else it writes what is sent again to the log
        self._client = httpx.Client(
            headers={"User-Agent": "dockfix", **headers}, timeout=httpx.Timeout(60, connect=20), trust_env=True
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **query: str | int) -> Any:
        """Return the answer as JSON."""
        return self._content(self._request("GET", self._base + path, params=query), dict)

    def listed(self, path: str, **query: str | int) -> Any:
        """Return the first page of items."""
        return self._content(self._request("GET", self._base + path, params=query), list)

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Yield the items of all pages."""
        url: str = self._base + path
        params: dict[str, str | int] | None = {"per_page": 100, **query}
        for _ in range(_PAGES):
            response = self._request("GET", url, params=params)
            yield from self._content(response, list)
            url, params = response.links.get("next", {}).get("url", ""), None  # {} would take its query away
            if not url:
                return
            if origin_of(url) != origin_of(self._base):
                raise ForgeError(f"the next page is at another address: {url}")

    def send(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        """Send something that creates or changes; return the answer as JSON.

        Raises ``Unsure`` where it may have been done although no answer says so.
        """
        response = self._request(method, self._base + path, json=body)
        try:
            return self._content(response, object) if response.content else None
        except CampaignError as error:
            raise Unsure(str(error)) from None

    def _content(self, response: httpx.Response, kind: type) -> Any:
        """Return the JSON of an answer, which is to be of that kind."""
        try:
            found = response.json(object_hook=_Object)
        except ValueError:
            found = None
        if isinstance(found, kind) and found is not None:
            return found
        raise CampaignError(f"{self._base} answers what no forge's API does: is it the address of one?")

    def _request(self, method: str, url: str, **rest: Any) -> httpx.Response:
        try:
            for attempt in stamina.retry_context(
                on=self._wait,
                attempts=_ATTEMPTS,
                timeout=None,
                wait_initial=self._back_off if method != "GET" else min(self._back_off, 2),
                wait_max=900,
                wait_jitter=min(self._back_off, 1),
            ):
                with attempt:
                    return self._once(method, url, **rest)
        except _Again as again:
            if again.response is None:
                why = self._secret.redact(" ".join(str(again.error).split())) or type(again.error).__name__
                raise CampaignError(f"no answer from {self._base}: {why}; try again later") from None
            raise self._error(again.response) from None
        raise AssertionError("stamina gives at least one attempt")

    def _wait(self, error: Exception) -> bool | float:
        """Say whether, and when, to send it again."""
        if not isinstance(error, _Again):
            return False
        if error.wait is None:
            return True
        if error.wait > _LONGEST:
            return False
        if error.wait > 5:
            self._pace.say(f"the forge asks to wait for {error.wait:.0f} s")
        return error.wait

    def _once(self, method: str, url: str, **rest: Any) -> httpx.Response:
        creates = method != "GET"
        if creates:
            self._pace.before()
        try:
            response = self._client.request(method, url, follow_redirects=not creates, **rest)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Again(None, None, error) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise CampaignError(f"{self._base} is no address of a forge") from None
        except httpx.TooManyRedirects:
            raise CampaignError(f"{self._base} sends in circles: is it the address of a forge's API?") from None
        except httpx.RequestError as error:
            if creates:
                raise Unsure(f"no answer: {type(error).__name__}") from None
            raise _Again(None, None, error) from None
        finally:
            if creates:
                self._pace.after()
        if response.status_code < 300:
            return response
        if limited(response):
            raise _Again(response, _asked_wait(response))
        if response.status_code >= 500:
            if creates:
                raise Unsure(f"the forge answered {response.status_code}", response.status_code)
            raise _Again(response, None)
        raise self._error(response)

    def _error(self, response: httpx.Response) -> Exception:
        status = response.status_code
        what = self._secret.redact(message(response))
        if status == 401:
            return CampaignError(f"{self._base} does not take the token: {what}")
        if limited(response):
            return CampaignError(f"{self._base} goes on refusing because of its limits: {what}; try again later")
        if status == 404:
            return ForgeError("not found: gone, renamed, or not to be seen with this token", status)
        return ForgeError(f"the forge answered {status}: {what}", status)


def limited(response: httpx.Response) -> bool:
    """Return whether the answer is a rate limit, and no refusal."""
    if response.status_code == 429:
        return True
    if response.status_code != 403:
        return False
    headers = response.headers
    return (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or any(words in message(response).lower() for words in ("rate limit", "abuse detection"))
    )


def _asked_wait(response: httpx.Response) -> float | None:
    """Return for how many seconds the forge asks to wait, None where it does not say."""
    headers = response.headers
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
        except ValueError:
            pass
    remaining = headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining"))
    reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
    if remaining == "0" and reset.isdigit():
        return max(0.0, float(reset) - time.time()) + 1
    return None


def message(response: httpx.Response) -> str:
    """Return what the forge says is wrong, on one line."""
    try:
        found = response.json()
    except ValueError:
        return " ".join(response.text.split())[:200] or response.reason_phrase
    if not isinstance(found, dict):
        return str(found)[:200]
    parts = [str(found.get("message", found.get("error", "")))]
    for error in found.get("errors", ()) if isinstance(found.get("errors"), list) else ():
        parts.append(str(error.get("message") or error.get("code") or "") if isinstance(error, dict) else str(error))
    return " ".join("; ".join(part for part in parts if part).split())[:300]
