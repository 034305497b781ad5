"""``python -m dockfix``."""

from dockfix.cli.main import main

if __name__ == "__main__":
    main()
