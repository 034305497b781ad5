import subprocess

subprocess.run(["git", "--no-pager", "diff", "--no-index", "expected.json", "response.json"])
