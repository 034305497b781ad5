"""git as a machine runs it on repositories that it does not trust: nothing of theirs is run, followed or obeyed."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.secret import Secret
from dockfix.fleet.stopping import STOPPED

_OUTPUT: Final = 32_000_000
_POLL: Final = 0.5
_KEPT: Final = (
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
)
"""What of the environment a child gets to see: no token, no home, no settings of git or Python."""
_SETTINGS: Final = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.askPass": "",
    "credential.helper": "",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "protocol.allow": "never",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "advice.detachedHead": "false",
}
"""https://git-scm.com/docs/git-config says what each of these switches off."""
_WAITS: Final = (2.0, 10.0, 30.0)
"""Seconds before git is asked again where a forge has no time: git does not tell for how long it wants none."""
_BUSY: Final = tuple(f"returned error: {status}" for status in (429, 502, 503, 504))
_AWAY: Final = (
    *("could not resolve host", "failed to connect", "couldn't connect", "connection refused", "connection timed out"),
    *("connection reset", "empty reply", "network is unreachable", "operation too slow"),
)
"""In curl's words."""
_FULL: Final = ("no space left", "out of diskspace", "disk quota exceeded")
"""How git says that a disk is full: in the system's words, and in its own where it writes the index or a pack."""


NO_SPACE: Final = "no space left on the disk; make some and start it again, it goes on where it was"


class GitError(Exception):
    """git could not do it. The message is for the user and holds no secret."""


class TooLarge(GitError):
    """The repository is larger than the campaign's limit."""


class Away(GitError):
    """Nobody answers, or who answers has no time: another try may get through."""


class TimedOut(GitError):
    """The repository took longer than the campaign's limit."""


def clean_environment(home: str, keep: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which no setting of the user, the machine, or a repository around *home* applies."""
    source = os.environ if keep is None else keep
    return {
        **{name: source[name] for name in _KEPT if name in source},
        "HOME": home,
        "XDG_CONFIG_HOME": home,
        "LC_ALL": "C.UTF-8",
        "GIT_CEILING_DIRECTORIES": os.path.dirname(os.path.abspath(home)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_OPTIONAL_LOCKS": "0",
        **git_settings(_SETTINGS),
    }


def git_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give git these settings, above every file."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


class Git:
    """Runs git for one repository, with an end at *deadline* (of ``time.monotonic``)."""

    def __init__(self, home: str, secret: Secret, deadline: float, megabytes: float = 500) -> None:
        self._home = home
        self._secret = secret
        self._deadline = deadline
        self._megabytes = megabytes

    def run(
        self, *arguments: str, url: str = "", folder: str = "", environment: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git and return what it prints. Raises ``GitError``; ``CampaignError`` where the disk is full.

        Where a forge is busy it is asked again, as long as there is time.

        *url*, the last argument but refs, is the only place that git may talk to, by its own protocol. *folder* is
        watched: git is stopped when it grows beyond the limit.
        """
        for wait in (*_WAITS, None):
            try:
                return self._once(*arguments, url=url, folder=folder, environment=environment)
            except Away as error:
                busy = any(words in str(error).lower() for words in _BUSY)
                if wait is None or not busy or time.monotonic() + wait >= self._deadline or STOPPED.wait(wait):
                    raise
        raise AssertionError("the last try returns or raises")

    def _once(self, *arguments: str, url: str, folder: str, environment: Mapping[str, str] | None) -> bytes:
        settings = dict(_SETTINGS)
        if url:
            settings[f"protocol.{url.partition('://')[0] if '://' in url else 'file'}.allow"] = "always"
            settings |= self._secret.git_configuration(url)
        variables = {**clean_environment(self._home), **git_settings(settings), **(environment or {})}
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                env=variables,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise GitError(f"git cannot be started: {error.strerror}") from error
        try:
            out, complaint = self._wait(process, folder)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        if process.returncode:
            command = next(word for word in arguments if not word.startswith(("-", "/")))
            explained = self._explained(complaint, command, process.returncode)
            away = url and any(words in complaint.lower() for words in (*_BUSY, *_AWAY))
            raise Away(explained) if away else GitError(explained)
        return out

    def _wait(self, process: subprocess.Popen[bytes], folder: str) -> tuple[bytes, str]:
        assert process.stdout is not None
        assert process.stderr is not None
        out, complaint = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, out)
            selector.register(process.stderr, selectors.EVENT_READ, complaint)
            looked = time.monotonic()
            while selector.get_map():
                for key, _ in selector.select(min(_POLL, max(0.0, self._deadline - time.monotonic()))):
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.data is out and len(out) > _OUTPUT:
                        raise TooLarge("too large: git's list of its files does not end")
                    elif len(key.data) < _OUTPUT:
                        key.data.extend(data)
                if STOPPED.is_set():
                    raise GitError("stopped")
                now = time.monotonic()
                if now >= self._deadline:
                    raise TimedOut("took longer than limits.seconds allows")
                if folder and now - looked > _POLL:
                    looked = now
                    if _size(folder) > self._megabytes * 1e6:
                        raise TooLarge(f"larger than {self._megabytes:g} MB (limits.megabytes)")
        try:
            process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimedOut("took longer than limits.seconds allows") from None
        return bytes(out), complaint.decode("utf-8", "replace")

    def _explained(self, complaint: str, command: str, status: int) -> str:
        lines = [line.strip() for line in self._secret.redact(complaint).splitlines() if line.strip()]
        text = " ".join(lines).lower()
        if "could not read username" in text or "authentication failed" in text or "error: 401" in text:
            return "not found, or not to be read with this token"
        if "not found" in text or "does not appear to be a git repository" in text or "does not exist" in text:
            return "not found: gone, renamed, or not to be read with this token"
        if "not our ref" in text:
            return "the planned commit is gone; plan again"
        if "redirect" in text or "error: 30" in text:
            return "moved to another address; name it by its new one"
        own = " ".join(line for line in lines if not line.startswith("remote:")).lower()
        if any(words in own for words in _FULL) or is_full(self._home):
            raise CampaignError(NO_SPACE)
        wrong = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!"))] or lines
        return f"git {command}: {' '.join(wrong)[:300] if wrong else f'exit status {status}'}"


def is_full(folder: str) -> bool:
    """Tell whether the disk that holds *folder* has no room left: git says so in some of its messages only."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail == 0


def _size(folder: str) -> int:
    """Return the bytes below *folder*, as far as they can be seen while git works in it."""
    total, pending = 0, [folder]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total
