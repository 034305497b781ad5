#!/bin/sh
python worker.py &
flask run -h 0.0.0.0
