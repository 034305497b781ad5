#!/bin/sh
if [ "$SEED" = 1 ]; then
    python seed.py
    flask run -h 0.0.0.0
fi
