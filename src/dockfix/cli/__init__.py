"""The command line: commands parse options and print, and nothing more."""
