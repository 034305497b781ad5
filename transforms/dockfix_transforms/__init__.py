"""The transforms that ship with dockfix: one file each, named for what it does."""
