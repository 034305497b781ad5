#!/bin/sh
set -e
wget -qO data.json "$DATA_URL"
exec gunicorn app:app
