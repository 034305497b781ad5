"""The journal of a campaign: what was planned and what was published, in SQLite.

It is a cache of two truths, the repositories' commits and the forge. Losing it costs time, never a second pull request.
Every method is one transaction, so that a run can be killed anywhere.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.git import NO_SPACE, is_full
from dockfix.fleet.worker import Planned

OPENING: Final = "opening"
"""The state of a pull request that was asked for and that the forge has not confirmed."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS repository (
    name TEXT PRIMARY KEY, url TEXT, position INTEGER, run INTEGER);
CREATE TABLE IF NOT EXISTS result (
    name TEXT, chain TEXT, state TEXT, reason TEXT, commit_id TEXT, branch TEXT, patch TEXT, fixes INTEGER,
    transforms TEXT, document TEXT, seconds REAL, at REAL, PRIMARY KEY (name, chain)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pull (
    name TEXT PRIMARY KEY, number INTEGER, url TEXT, state TEXT, patch TEXT, head TEXT, finished INTEGER, note TEXT);
CREATE TABLE IF NOT EXISTS event (at REAL, name TEXT, action TEXT);
"""
_VIEW: Final = """
SELECT position, repository.name, repository.url, coalesce(result.state, 'pending'), coalesce(result.reason, ''),
    coalesce(result.commit_id, ''), coalesce(result.branch, ''), coalesce(result.patch, ''),
    coalesce(result.fixes, 0), coalesce(result.transforms, ''), coalesce(result.seconds, 0),
    coalesce(pull.number, 0), coalesce(pull.url, ''), coalesce(pull.state, ''), coalesce(pull.note, '')
FROM repository
LEFT JOIN result ON result.name = repository.name AND result.chain = (SELECT value FROM meta WHERE key = 'chain')
LEFT JOIN pull ON pull.name = repository.name
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one repository stands: its plan, and its pull request if there is one."""

    name: str
    url: str
    planned: str
    planned_reason: str
    commit: str
    branch: str
    patch: str
    """The SHA-256 of the patch, "" where there is none."""
    fixes: int
    transforms: tuple[str, ...]
    seconds: float
    number: int
    pull_url: str
    pull_state: str
    note: str

    @property
    def state(self) -> str:
        """changed, unchanged, refused, failed, pending; open, merged, closed once it is published."""
        if not self.pull_state or self.planned == "failed":
            return self.planned
        return (
            self.pull_state if self.planned == "changed" or self.number or self.pull_state == OPENING else self.planned
        )

    @property
    def reason(self) -> str:
        """Why it stands there."""
        if self.state != self.pull_state:
            return self.planned_reason
        left = (
            "" if self.state != "open" or self.planned != "unchanged" else "a newer plan finds nothing left to change"
        )
        return self.note or left or ("" if self.planned == "refused" else self.planned_reason)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the journal knows of a pull request. ``finished``: labels and reviewers were asked for."""

    number: int
    url: str
    state: str
    patch: str
    head: str
    finished: bool
    note: str = ""


class Journal:
    """The journal in *folder*, and the patches beside it."""

    def __init__(self, folder: str, *, create: bool = False) -> None:
        self.folder = folder
        path = os.path.join(folder, "journal.sqlite")
        if not create and not os.path.exists(path):
            raise CampaignError(f"{folder}: there is no plan; run `dockfix fleet plan` first")
        with _explained(folder):
            os.makedirs(self._patches, mode=0o700, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            os.chmod(path, 0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)

    @property
    def _patches(self) -> str:
        return os.path.join(self.folder, "patches")

    def close(self) -> None:
        """Close the data base."""
        self._db.close()

    def _do(self, statement: str, *values: object) -> None:
        with _explained(self.folder):
            self._db.execute(statement, values)

    def _one(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        row = self._db.execute(statement, values).fetchone()
        return tuple(row) if row else None

    def get(self, key: str, default: str = "") -> str:
        """Return a remembered value."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return str(row[0]) if row else default

    def remember(self, key: str, value: str) -> None:
        """Remember a value."""
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    # --- the plan

    def set_repositories(self, entries: Iterator[tuple[str, str]]) -> int:
        """Make *entries* (name and URL) the campaign's repositories; return how many there are."""
        run = time.time_ns()
        with _explained(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for position, (name, url) in enumerate(entries):
                    self._db.execute(
                        "INSERT OR REPLACE INTO repository VALUES (?, ?, ?, ?)", (name, url, position, run)
                    )
                self._db.execute("DELETE FROM repository WHERE run != ?", (run,))
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        return self.count()

    def count(self) -> int:
        """Return how many repositories the campaign has."""
        row = self._one("SELECT count(*) FROM repository")
        return int(row[0]) if row else 0

    def repositories(self) -> Iterator[tuple[str, str]]:
        """Yield name and URL of every repository, a page at a time."""
        after = -1
        while page := self._db.execute(
            "SELECT position, name, url FROM repository WHERE position > ? ORDER BY position LIMIT 100", (after,)
        ).fetchall():
            for after, name, url in page:  # noqa: B007
                yield name, url

    def known_commit(self, name: str, chain: str) -> str:
        """Return the commit for which there is a result of this chain; a failure, or a patch that is gone, is none."""
        row = self._one(
            "SELECT commit_id, patch FROM result WHERE name = ? AND chain = ? AND state != 'failed'", name, chain
        )
        if row is None or (row[1] and not self._is_whole(row[1])):
            return ""
        return str(row[0])

    def add_result(self, planned: Planned, chain: str, fixes: int, transforms: tuple[str, ...]) -> None:
        """Keep what came of planning a repository. The patch is on disk before the journal names it.

        Why an older plan could not be published is forgotten.
        """
        patch = self._add_patch(planned.patch) if planned.patch else ""
        self._do("DELETE FROM pull WHERE name = ? AND number = 0 AND state != ?", planned.name, OPENING)
        self._do(
            "INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            planned.name, chain, planned.state, planned.reason, planned.commit, planned.branch, patch, fixes,
            ",".join(transforms), planned.document, planned.seconds, time.time(),
        )  # fmt: skip

    def _add_patch(self, patch: bytes) -> str:
        digest = hashlib.sha256(patch).hexdigest()
        path = self.patch_path(digest)
        with _explained(self.folder):
            if not self._is_whole(digest):
                temporary = f"{path}.{os.getpid()}"
                handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                try:
                    with os.fdopen(handle, "wb") as file:
                        file.write(patch)
                    os.replace(temporary, path)
                except BaseException:
                    os.unlink(temporary)
                    raise
        return digest

    def patch_path(self, digest: str) -> str:
        """Return where the patch of that hash is."""
        return os.path.join(self._patches, f"{digest}.patch")

    def _is_whole(self, digest: str) -> bool:
        try:
            with open(self.patch_path(digest), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False

    def checked_patch(self, digest: str) -> str:
        """Return where the patch is. Raises ``CampaignError`` where it is not there or not as it was planned."""
        if not self._is_whole(digest):
            raise CampaignError(f"{self.patch_path(digest)} is gone or was changed: plan again")
        return self.patch_path(digest)

    def document(self, name: str) -> str:
        """Return the result of a repository as JSON, secrets masked."""
        row = self._one("SELECT document FROM result WHERE name = ? AND chain = ?", name, self.get("chain"))
        return str(row[0]) if row else "{}"

    def take_results(self, path: str) -> None:
        """Take the results from the journal at *path*."""
        with _explained(self.folder):
            self._db.execute("ATTACH ? AS part", (path,))
            try:
                self._db.execute("INSERT OR REPLACE INTO result SELECT * FROM part.result")
            finally:
                self._db.execute("DETACH part")

    # --- where everything stands

    def standings(self) -> Iterator[Standing]:
        """Yield where each repository stands, in the campaign's order, a page at a time."""
        after = -1
        while page := self._db.execute(f"{_VIEW} WHERE position > ? ORDER BY position LIMIT 100", (after,)).fetchall():
            for after, *row in page:  # noqa: B007
                yield _standing(row)

    # --- what was published

    def pull(self, name: str) -> Pulled | None:
        """Return what is known of a repository's pull request."""
        row = self._one("SELECT number, url, state, patch, head, finished, note FROM pull WHERE name = ?", name)
        if row is None:
            return None
        number, url, state, patch, head, finished, note = row
        return Pulled(number, url, state, patch, head, bool(finished), note)

    def set_pull(self, name: str, pulled: Pulled) -> None:
        """Keep what is known of a repository's pull request."""
        self._do(
            "INSERT OR REPLACE INTO pull VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            name, pulled.number, pulled.url, pulled.state, pulled.patch, pulled.head, pulled.finished, pulled.note,
        )  # fmt: skip

    def add_event(self, name: str, action: str) -> None:
        """Note that something was done at the forge: opened, updated, pushed."""
        self._do("INSERT INTO event VALUES (?, ?, ?)", time.time(), name, action)

    def count_events(self, *actions: str, since: float = 0) -> int:
        """Return how many there were of these actions."""
        marks = ", ".join("?" * len(actions))
        row = self._one(f"SELECT count(*) FROM event WHERE action IN ({marks}) AND at > ?", *actions, since)
        return int(row[0]) if row else 0

    def opened(self, name: str, pulled: Pulled) -> None:
        """Keep that a pull request was opened, and count it once, however often the run was killed on the way."""
        with _explained(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                known = self.pull(name)
                if known is not None and known.state == OPENING:
                    self.add_event(name, "opened")
                self.set_pull(name, pulled)
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise


def _standing(row: list[Any]) -> Standing:
    transforms = tuple(name for name in row[8].split(",") if name)
    return Standing(*[*row[:8], transforms, *row[9:]])


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    """Turn what goes wrong with the disk into the campaign's failure."""
    try:
        yield
    except OSError as error:
        raise CampaignError(f"{folder}: cannot be written: {error.strerror or error}") from error
    except sqlite3.Error as error:
        if is_full(folder):
            raise CampaignError(f"{folder}: {NO_SPACE}") from error
        raise CampaignError(f"{folder}/journal.sqlite: {error}; what was done so far is kept") from error


@contextmanager
def locked(folder: str, what: str, advice: str = "") -> Iterator[None]:
    """Hold the lock for *what* (plan, publish). Raises ``CampaignError``, with *advice*, where another holds it."""
    import fcntl

    with _explained(folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(folder, f"{what}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CampaignError(f"{folder}: another `dockfix fleet {what}` is at work here{advice}") from None
        yield
    finally:
        os.close(handle)
