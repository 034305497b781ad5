#!/bin/sh
set -e
if [ ! -d data ]; then
    curl -fsSo data.zip "$DATA_URL" && unzip -q data.zip
fi
exec gunicorn app:app
