"""The commit of a pull request, made without a working tree, and its push.

The patch is applied to the index of a bare repository: nothing of the repository is written to disk, no hook or filter
can run, a path behind a symbolic link does not exist, and what is not in the patch cannot get in. The same base, patch
and title give the same commit, so that a run that was killed finds its own push again.
"""

from __future__ import annotations

import os
import re
from typing import Final

from dockfix.fleet.campaign import Campaign
from dockfix.fleet.git import Git, GitError

_LOST: Final = ("stale info", "fetch first", "cannot lock ref", "already exists", "failed to update ref")


class LeaseLost(GitError):
    """Someone else pushed to the branch."""


class Branch:
    """The campaign's branch in one repository; *scratch* is an empty folder."""

    def __init__(self, git: Git, url: str, campaign: Campaign, scratch: str) -> None:
        self._git = git
        self._url = url
        self._campaign = campaign
        self._folder = os.path.join(scratch, "bare.git")
        self._ref = f"refs/heads/{campaign.branch}"
        git.run("init", "--quiet", "--bare", "--template=", "--", self._folder)

    def _run(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        command = ("--git-dir", self._folder, *arguments)
        return self._git.run(*command, environment=environment).decode("utf-8", "replace").strip()

    def _fetch(self, what: str, depth: str = "--depth=1") -> None:
        arguments = ("--git-dir", self._folder, "fetch", "--quiet", depth, "--no-tags", "--", self._url, what)
        self._git.run(*arguments, url=self._url, folder=self._folder)

    def commit(self, base: str, patch: str) -> str:
        """Apply the patch file to the commit *base* and return the new commit. Raises ``GitError``."""
        self._fetch(base)
        self._run("read-tree", base)
        self._run("apply", "--cached", "--whitespace=nowarn", "--", patch)
        tree = self._run("write-tree")
        match = re.fullmatch(r"(.+) <(.+)>", self._campaign.author)
        assert match is not None
        date = self._run("show", "--no-patch", "--format=%ct", base)
        environment = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", match[1]), ("EMAIL", match[2]), ("DATE", f"@{date} +0000"))
        }
        trailer = f"Dockfix-Campaign: {self._campaign.name}"
        return self._run(
            "commit-tree", tree, "-p", base, "-m", self._campaign.title, "-m", trailer, environment=environment
        )

    def check_base(self, base: str, commit: str, branch: str) -> None:
        """Raise ``GitError`` where the default branch left *base* behind in what *commit* changes.

        The branch may have gone on since the plan. Where its history was rewritten, or a file of the patch is another
        by now, a pull request would bring old commits back, or a conflict.
        """
        ref = f"refs/heads/{branch}"
        found = self._git.run("ls-remote", "--", self._url, ref, url=self._url).decode("ascii", "replace")
        tip = next((line.split("\t")[0] for line in found.splitlines() if line.endswith(f"\t{ref}")), "")
        if tip == base:
            return
        since = int(self._run("show", "--no-patch", "--format=%ct", base)) - 1
        rewritten = GitError(f"the history of {branch} is another than at the plan; plan again")
        try:
            self._fetch(ref, f"--shallow-since={max(0, since)}")
        except GitError as error:
            raise rewritten if "no commits selected" in str(error) else error from error
        try:
            self._run("merge-base", "--is-ancestor", base, tip)
        except GitError as error:
            raise rewritten from error
        look = ("--git-dir", self._folder, "diff-tree", "-r", "--name-only", "-z")
        changed = os.fsdecode(self._git.run(*look, base, commit)).split("\0")
        if self._git.run(*look, base, tip, "--", *(f":(literal){name}" for name in changed if name)):
            raise GitError("what the patch changes was changed since the plan; plan again")

    def tip(self) -> str:
        """Return the commit at the tip of the branch, "" where there is no such branch."""
        found = self._git.run("ls-remote", "--", self._url, self._ref, url=self._url).decode("ascii", "replace")
        return next((line.split("\t")[0] for line in found.splitlines() if line.endswith(f"\t{self._ref}")), "")

    def is_ours(self, commit: str) -> bool:
        """Return whether the tip was made by this campaign: its author and committer are ours, and it says so."""
        self._fetch(commit)
        found = self._run("show", "--no-patch", "--format=%an <%ae>%n%cn <%ce>%n%B", commit).split("\n")
        own = self._campaign.author
        return found[:2] == [own, own] and f"Dockfix-Campaign: {self._campaign.name}" in found[2:]

    def push(self, commit: str, expected: str) -> None:
        """Make *commit* the branch's tip, if that is still *expected* ("" for no branch). Raises ``LeaseLost``."""
        try:
            self._git.run(
                *("--git-dir", self._folder, "push", "--quiet", "--no-verify"),
                f"--force-with-lease={self._ref}:{expected}",
                *("--", self._url, f"{commit}:{self._ref}"),
                url=self._url,
            )
        except GitError as error:
            if self.tip() == commit:  # it got there although no answer says so
                return
            if any(word in str(error) for word in _LOST):
                raise LeaseLost(str(error)) from error
            raise
