"""The forge's token: where it comes from, how git gets it, and how it is kept out of every text."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from dockfix.fleet.campaign import CampaignError, ForgeSettings

_USERS = {"github": "x-access-token", "gitlab": "oauth2"}


@dataclass(frozen=True, slots=True)
class Secret:
    """A token for the hosts of one forge; "" is none. It is never shown: ``repr`` leaves it out."""

    token: str = field(default="", repr=False)
    user: str = "x-access-token"
    origins: tuple[str, ...] = ()
    """``scheme://host:port`` that may see it."""

    def git_configuration(self, url: str) -> dict[str, str]:
        """Return the configuration with which git sends the token to the host of *url*, and to no other."""
        origin = origin_of(url)
        if not self.token or origin not in self.origins:
            return {}
        return {f"http.{origin}/.extraHeader": f"Authorization: Basic {self._basic()}"}

    def redact(self, text: str) -> str:
        """Return *text* without the token, raw or encoded."""
        if not self.token:
            return text
        forms = {self.token, quote(self.token, safe=""), self._basic(), _encoded(self.token)}
        forms |= {_encoded(f"{user}:{self.token}") for user in _USERS.values()}
        forms |= {form.rstrip("=") for form in forms}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return re.sub(r"(?i)(authorization: *\w+ +)\S+", r"\1***", text)

    def _basic(self) -> str:
        return _encoded(f"{self.user}:{self.token}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def origin_of(url: str) -> str:
    """Return ``scheme://host:port`` of *url*; "" for a path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}" if parts.scheme and parts.netloc else ""


def read_secret(forge: ForgeSettings, *, required: bool, environment: Mapping[str, str] | None = None) -> Secret:
    """Return the token that the campaign names: from a file or from the environment. Raises ``CampaignError``."""
    environment = os.environ if environment is None else environment
    token = ""
    if forge.token_file:
        try:
            with open(forge.token_file, encoding="utf-8") as file:
                token = file.read().strip()
        except (OSError, ValueError) as error:
            raise CampaignError(f"{forge.token_file}: the token cannot be read") from error
    elif forge.token_env:
        token = environment.get(forge.token_env, "").strip()
    if not token and required:
        where = forge.token_file or f"the variable {forge.token_env}"
        raise CampaignError(f"no token for {forge.url}: {where} is empty; set it, or name another in [forge]")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise CampaignError("the token holds a character that none has; is it the right file or variable?")
    origins = dict.fromkeys(origin for origin in (origin_of(forge.clone_url), origin_of(forge.url)) if origin)
    return Secret(token, _USERS[forge.kind], tuple(origins))
