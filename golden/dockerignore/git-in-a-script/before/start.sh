#!/bin/sh
export VERSION=$(git rev-parse HEAD)
exec gunicorn app:app
