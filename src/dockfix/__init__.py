"""dockfix: a codemod for Dockerfiles and the files that belong to them."""

__version__ = "0.1.0"
