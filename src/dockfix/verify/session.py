"""Verify the Dockerfiles of a repository, one after the other, and mend the rewriting where it breaks the image."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from dockfix.chain import Settings, run
from dockfix.changes import Change
from dockfix.config import ConfigError
from dockfix.project.context import find_context
from dockfix.project.disk import DiskFiles, OverlayFiles
from dockfix.project.files import Files
from dockfix.records import replace
from dockfix.registry import RegistryError
from dockfix.result import Result
from dockfix.session import Repository, Request, settings_for
from dockfix.syntax.dockerfile import DockerfileSyntaxError
from dockfix.verify.check import Checker, Limits, hidden_paths, origins
from dockfix.verify.compare import compare
from dockfix.verify.engine import Engine, EngineError, find_engine
from dockfix.verify.hints import hints
from dockfix.verify.mend import likeliest_first
from dockfix.verify.process import Interrupts
from dockfix.verify.progress import Progress
from dockfix.verify.result import LeftOut, Outcome, Row, Side, Verdict, outcome_of
from dockfix.verify.scratch import Scratch

_PASSING: Final = frozenset({"answers", "log", "health"})
"""The rows that a clock, chance or a busy machine can change: both images are run again before one is called worse."""


class Verified(NamedTuple):
    """What came of one Dockerfile. ``changes`` are what is to be written; ``result`` is the chain's."""

    repository: Repository
    dockerfile: str
    outcome: Outcome
    rows: tuple[Row, ...]
    before: Side | None
    after: Side | None
    result: Result
    changes: tuple[Change, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None


@contextmanager
def engine_for_a_run(wanted: str | None, interrupts: Interrupts) -> Iterator[Engine]:
    """Yield an engine; everything that it made is removed at the end, come what may. Raises ``EngineError``."""
    import sys
    import time

    engine = find_engine(wanted, secrets.token_hex(6), interrupts)
    try:
        yield engine
    finally:
        stopped = interrupts.came
        interrupts.hold()
        left = engine.remove_everything()
        if stopped:  # what the engine was just about to finish when its client was ended
            time.sleep(1.0)
            left = engine.remove_everything()
        for text in left:
            print(f"dockfix: not removed: {text}; find it by the label {engine.label}", file=sys.stderr)


def verify_repository(
    engine: Engine,
    repository: Repository,
    request: Request,
    limits: Limits,
    progress: Progress,
    *,
    mend: bool,
    wanted: Callable[[Verified], bool] = lambda verified: True,
) -> Iterator[Verified]:
    """Verify each Dockerfile of *repository*, with the rewritten files of those before it that are *wanted*.

    With *mend*, transforms that break an image are left out. Never raises but for ``KeyboardInterrupt``: what goes
    wrong is in the result.
    """
    engine.tick = progress.tick
    texts: dict[str, str] = {}
    files = DiskFiles(repository.root)
    try:
        settings = settings_for(repository.root, request)
    except (ConfigError, RegistryError) as error:
        yield from (_failed(repository, name, str(error)) for name in repository.dockerfiles[:1])
        return
    for dockerfile in repository.dockerfiles:
        one = _Verification(engine, repository, dockerfile, files, settings, limits, progress, dict(texts))
        verified = one.verify(mend)
        if verified.outcome is not Outcome.FAILED and wanted(verified):
            texts.update((change.path, change.after) for change in verified.changes)
        yield verified


def _failed(repository: Repository, dockerfile: str, error: str, result: Result | None = None) -> Verified:
    return Verified(repository, dockerfile, Outcome.FAILED, (), None, None, result or Result(), (), error=error)


class _Trial(NamedTuple):
    """One rewriting that was built and compared."""

    result: Result
    before: Side
    """With all that was seen of it until now."""
    side: Side | None
    rows: tuple[Row, ...]
    outcome: Outcome


class _Verification:
    """The work on one Dockerfile. ``texts`` are the files that were rewritten before it."""

    def __init__(
        self,
        engine: Engine,
        repository: Repository,
        dockerfile: str,
        files: DiskFiles,
        settings: Settings,
        limits: Limits,
        progress: Progress,
        texts: Mapping[str, str],
    ) -> None:
        self.engine = engine
        self.repository = repository
        self.dockerfile = dockerfile
        self.texts = texts
        self.base: Files = OverlayFiles(files, texts) if texts else files
        self.disk = files
        self.settings = settings
        self.limits = limits
        self.progress = progress

    def verify(self, mend: bool) -> Verified:
        """Return what came of it."""
        result = run(self.base, (self.dockerfile,), self.settings)
        if result.failures:
            return _failed(self.repository, self.dockerfile, str(result.failures[0]), result)
        if not result.after:
            return Verified(self.repository, self.dockerfile, Outcome.UNCHANGED, (), None, None, result, ())
        try:
            scratch = Scratch(self.repository.root, self.engine.interrupts)
        except OSError as error:
            return _failed(self.repository, self.dockerfile, f"no scratch folder: {error.strerror}", result)
        try:
            checker = Checker(self.engine, self.limits, self.progress, scratch, self.disk)
            return self._verify(checker, scratch, result, mend)
        except (EngineError, DockerfileSyntaxError, ValueError, OSError) as error:
            return _failed(self.repository, self.dockerfile, str(error), result)
        finally:
            scratch.remove()

    def _verify(self, checker: Checker, scratch: Scratch, result: Result, mend: bool) -> Verified:
        plan = checker.plan(self.dockerfile, self.texts)
        self.progress.phase(f"{self.dockerfile}: copying the files")
        scratch.fill(plan.needed)
        before = checker.side("before", plan, self.texts)
        trial = self._try(checker, before, result, "after")
        left_out: tuple[LeftOut, ...] = ()
        if mend and trial.outcome is Outcome.WORSE and before.built.image is not None:
            trial, left_out = self._mend(checker, trial)
        notes = [*scratch.notes, *([f"the build context is not certain: {plan.doubt}"] if plan.doubt else [])]
        if before.built.image is None:
            given = {name for name, _ in self.limits.arguments}
            notes += hints(before.built.ending, [name for name in plan.open_arguments if name not in given])
        if self.limits.with_services and plan.not_run:
            notes.append(f"services that are built, too, were not run beside it: {', '.join(plan.not_run)}")
        changes = tuple(Change(path, trial.result.before[path], text) for path, text in trial.result.after.items())
        return Verified(
            self.repository,
            self.dockerfile,
            trial.outcome,
            trial.rows,
            trial.before,
            trial.side,
            trial.result,
            changes,
            left_out,
            tuple(notes),
        )

    def _try(self, checker: Checker, before: Side, result: Result, name: str) -> _Trial:
        """Build and compare one rewriting; where nothing can be proved, the second build is not even tried."""
        texts = {**self.texts, **result.after}
        given = dict(pair for done in result.fixes for pair in done.variables)
        plan = checker.plan(self.dockerfile, texts, given)
        if before.built.image is None:
            nothing = Row("builds", "no", "-", Verdict.UNPROVED, before.built.ending)
            return _Trial(result, before, None, (nothing,), Outcome.UNPROVED)
        after = checker.side(name, plan, texts, before, given)
        files = OverlayFiles(self.disk, texts)
        context = find_context(files, self.dockerfile, tuple(source for source, _ in plan.copies))
        changed = _changed_paths(before, result, plan.context)
        masked = any(done.secrets for done in result.fixes)
        hidden = hidden_paths(before, after, context)
        rows = compare(before, after, hidden, changed, masked)
        if any(row.what in _PASSING and row.verdict is Verdict.WORSE for row in rows):
            before, after = checker.again("before", before, before), checker.again(name, after, before)
            rows = compare(before, after, hidden, changed, masked)
        checker.drop(after)
        return _Trial(result, before, after, rows, outcome_of(rows))

    def _mend(self, checker: Checker, broken: _Trial) -> tuple[_Trial, tuple[LeftOut, ...]]:
        """Leave transforms out until the result holds; return *broken* and nothing where that does not come to pass.

        Each is left out by itself, the likeliest first. One whose absence brings the image further (it builds, but does
        not start) stays out, and the search goes on from there. Where none helps, more and more are left out.
        """

        def without(names: tuple[str, ...]) -> Result:
            kept = [one for one in self.settings.transforms if one.name not in names]
            return run(self.base, (self.dockerfile,), replace(self.settings, transforms=kept))

        def attempt(names: tuple[str, ...], current: _Trial) -> _Trial:
            result = without(names)
            if not result.after:
                return _Trial(result, current.before, current.before, (), Outcome.UNCHANGED)
            if result.failures or result.after == current.result.after:
                return current
            return self._try(checker, current.before, result, f"after, without {', '.join(names)}")

        def suspects(current: _Trial, names: tuple[str, ...]) -> list[str]:
            def fewer(more: tuple[str, ...]) -> Result:
                return without((*names, *more))

            return likeliest_first(self.dockerfile, current.result, current.rows, current.side, fewer)

        left: tuple[LeftOut, ...] = ()
        current = broken
        while current.outcome is Outcome.WORSE:
            names = tuple(one.transform for one in left)
            for name in suspects(current, names):
                trial = attempt((*names, name), current)
                if trial.outcome is not Outcome.WORSE or _progress(trial.rows) > _progress(current.rows):
                    left = (*left, LeftOut(name, _evidence(current.rows)))
                    current = trial
                    break
            else:
                return self._leave_more_out(broken, current, left, suspects(current, names), attempt)
        return current, left

    def _leave_more_out(
        self,
        broken: _Trial,
        current: _Trial,
        left: tuple[LeftOut, ...],
        suspects: list[str],
        attempt: Callable[[tuple[str, ...], _Trial], _Trial],
    ) -> tuple[_Trial, tuple[LeftOut, ...]]:
        """Leave more and more out, then take back those that are innocent: the last one is not, the others may be."""
        names = tuple(one.transform for one in left)
        evidence = _evidence(current.rows)
        more: tuple[str, ...] = ()
        trial = current
        for name in suspects:
            more = (*more, name)
            if len(more) > 1:
                trial = attempt((*names, *more), current)
                if trial.outcome is not Outcome.WORSE:
                    break
        else:
            return broken, ()
        for name in more[:-1]:
            fewer = tuple(one for one in more if one != name)
            better = attempt((*names, *fewer), current)
            if better.outcome is not Outcome.WORSE:
                trial, more = better, fewer
        return trial, (*left, *(LeftOut(name, evidence) for name in more))


def _progress(rows: tuple[Row, ...]) -> int:
    """Return how far an image gets: to be built, to start, to answer."""
    failing = {row.what for row in rows if row.verdict is Verdict.WORSE}
    return 0 if "builds" in failing else 1 if "starts" in failing else 2 if "answers" in failing else 3


def _evidence(rows: tuple[Row, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for row in rows:
        if row.verdict is Verdict.WORSE:
            found.append(f"{row.what}: {row.before} → {row.after}")
            found += row.details[-8:]
    return tuple(found)


def _changed_paths(before: Side, result: Result, context: str) -> frozenset[str]:
    """Return the image paths of the files that dockfix rewrote."""
    prefix = f"{context}/" if context else ""
    rewritten = {path[len(prefix) :] for path in result.after if path.startswith(prefix)}
    files = before.image.files if before.image and before.image.files else {}
    return frozenset(path for path in files if not rewritten.isdisjoint(origins(path, before.plan)))
