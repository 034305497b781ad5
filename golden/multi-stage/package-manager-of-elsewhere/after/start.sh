#!/bin/sh
if command -v uv; then uv run app.py; else exec python app.py; fi
