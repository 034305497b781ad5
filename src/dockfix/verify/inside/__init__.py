"""Scripts that run inside containers, with whatever Python is there. dockfix reads them; it does not import them."""
