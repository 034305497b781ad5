"""What transforms may know of the repository around one Dockerfile."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dockfix.project.files import Files
from dockfix.records import record

if TYPE_CHECKING:
    from dockfix.project.application import Application
    from dockfix.project.compose import Service
    from dockfix.project.context import Context


@record
class Project:
    """The repository as one Dockerfile sees it; everything is computed when asked for."""

    files: Files
    dockerfile_path: str
    copied: tuple[str, ...] = ()
    """The source paths that its COPYs name: the evidence for the context where no file states it."""

    @cached_property
    def context(self) -> Context:
        """The build context and how it was found."""
        from dockfix.project.context import find_context

        return find_context(self.files, self.dockerfile_path, self.copied)

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Every way in which compose runs this Dockerfile's image; ``kind`` tells those that build it from the others.

        The others are built ones with what an override file says of them, and services that run the image by its name.
        """
        from dockfix.project.compose import services_of_image

        return services_of_image(self.files, self.dockerfile_path)

    @cached_property
    def applications(self) -> tuple[Application, ...]:
        """The Python web applications (Flask, FastAPI, Django) in the build context, likeliest first."""
        from dockfix.project.application import find_applications

        return find_applications(self.files, self.context.root)
