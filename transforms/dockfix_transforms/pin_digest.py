"""The transform pin-digest."""

from __future__ import annotations

from collections.abc import Iterator

from dockfix.build.lineage import open_images
from dockfix.build.model import Build
from dockfix.syntax.edit import Edit
from dockfix.syntax.image import parse_image
from dockfix.transform import Fix, Phase, Safety, Skip, transform


@transform(safety=Safety.REVIEW, phase=Phase.COMPOSE, options={"digests": {}, "asked": {}})
def pin_digest(build: Build) -> Iterator[Fix | Skip]:
    """Name the base image by its digest as well: ``python:3.12-slim@sha256:...``.

    Why: a tag is moved with every patch release and every rebuild for a new Debian package. By its digest an image
    is the same in every build, on every machine, until a commit says otherwise.

    Example:
        -FROM python:3.12-slim
        +FROM python:3.12-slim@sha256:4f1c5fbe2f0ac16d3f2f3d4c7f6a2b9e0f1d8c7b6a5948372615049382716059
         CMD ["python", "-m", "http.server"]
        @@ dockfix.toml
         [pin-digest.digests]
         "python:3.12-slim" = "sha256:4f1c5fbe2f0ac16d3f2f3d4c7f6a2b9e0f1d8c7b6a5948372615049382716059"

    Which digest a tag has today is known by its registry only, and no transform asks one. ``dockfix --pin-digests``
    asks for the images that the stages start from in the end, and hands the answers to this transform as ``asked``; the
    option ``digests`` states those of images that somebody has approved, and goes before. Without either it does
    nothing. The tag stays in front of the digest, for whoever reads it. A digest that is there is not moved.

    When it holds back: an image whose name or tag comes from an ARG, which may be given to the build; a digest in the
    configuration that is none.

    Source: Docker's documentation, "Building best practices", "Pin base image versions"
    (https://docs.docker.com/build/building/best-practices/#pin-base-image-versions).
    """
    digests: dict[str, object] = {}
    for option in ("asked", "digests"):
        known = build.options.get(option)
        if isinstance(known, dict):
            digests |= known
    if not digests:
        return
    edits: list[Edit] = []
    for stage, image in open_images(build.stages):
        digest = digests.get(str(image))
        if digest is None:
            continue
        instruction = stage.steps[0].instruction
        word = instruction.value.split()[0]
        if "$" in word:
            yield Skip(f"the digest of {image} would not go with another value of the ARG", instruction.line)
            continue
        if parse_image(f"{word}@{digest}") is None:
            yield Skip(f"{digest!r}, the digest of {image} by the configuration, is none", instruction.line)
            continue
        end = instruction.arguments.raw_span(0, len(word))[1]
        edits.append(Edit(end, end, f"@{digest}"))
    if edits:
        title = f"pin the base image{'s' if len(edits) > 1 else ''} by digest"
        note = "the image gets no security update by itself any more: let Renovate or Dependabot move the digest"
        line = build.dockerfile.text.count("\n", 0, edits[0].start) + 1
        yield Fix(title, {build.path: edits}, line, notes=(note,))
