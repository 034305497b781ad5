#!/bin/sh
cron
exec python app.py
