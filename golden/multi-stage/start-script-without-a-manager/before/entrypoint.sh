#!/bin/sh
# poetry is not needed here
exec "$@"
