import subprocess

subprocess.run(["git", "commit", "-m", "release"])
