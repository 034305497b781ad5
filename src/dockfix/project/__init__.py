"""What is true of the repository, read-only: contexts, manifests, compose services, the Python application."""
