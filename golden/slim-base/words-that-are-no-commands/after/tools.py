"""Make files; display them, compare sizes."""
import subprocess

COLUMNS = ("file", "size")


def show(path):
    subprocess.run(["ls", "-l", path])
