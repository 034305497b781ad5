import os
import subprocess

subprocess.run(["apt-get", "install", "-y", os.environ["EXTRA"]], check=True)
