import subprocess

subprocess.run(["git", "describe"])
