#!/bin/sh
set -e
pcscd --disable-polkit
exec "$@"
