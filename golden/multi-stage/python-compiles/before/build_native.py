import subprocess

subprocess.check_call(['g++', 'x.cc'])
