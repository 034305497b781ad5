#!/bin/sh
python wait_for_db.py
exec "$@"
