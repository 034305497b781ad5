#! /usr/bin/env sh
python -m app.prepare
