"""``--pin-digests``: ask the registries of the images that the Dockerfiles start from in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dockfix.build.lineage import open_images
from dockfix.cli.progress import Progress
from dockfix.digests import DigestError, digest_of
from dockfix.records import replace
from dockfix.result import Failure
from dockfix.session import Outcome, Request
from dockfix.syntax.image import ImageReference

_TRANSFORM: Final = "pin-digest"


def with_digests(outcomes: Sequence[Outcome], request: Request) -> tuple[Request, list[Failure]]:
    """Return *request* with the digests of the images that Dockerfiles start from, and what the registries refuse.

    *outcomes* are what *request* makes of the repositories so far: images that the configuration gives a digest have it
    there. The failures' paths are as the user sees them.
    """
    digests: dict[str, str] = {}
    places: dict[ImageReference, list[tuple[str, int]]] = {}
    for outcome in outcomes:
        for path, line, image in _images(outcome):
            places.setdefault(image, []).append((outcome.repository.prefix + path, line))
    failures: list[Failure] = []
    with Progress(len(places), "images") as progress:
        for image, found in places.items():
            try:
                digests[str(image)] = digest_of(image)
            except DigestError as error:
                message = f"the digest of {image} is not known: {error}"
                failures += [Failure(path, line, message, _TRANSFORM) for path, line in found]
            progress.add(1)
    options = {**(request.options or {}), _TRANSFORM: {"asked": digests}}
    return replace(request, options=options, also=(*request.also, _TRANSFORM)), failures


def _images(outcome: Outcome) -> Iterator[tuple[str, int, ImageReference]]:
    """Yield Dockerfile, line and image of each stage that starts from an image by its tag."""
    from dockfix.build.stages import stages_of
    from dockfix.project.disk import DiskFiles
    from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse

    files = DiskFiles(outcome.repository.root)
    for path in outcome.repository.dockerfiles:
        text = outcome.result.after.get(path)
        text = files.text(path) if text is None else text
        try:
            stages = stages_of(parse(text or ""))
        except DockerfileSyntaxError:  # was reported when the chain read it
            continue
        for stage, image in open_images(stages):
            yield path, stage.steps[0].line, image
