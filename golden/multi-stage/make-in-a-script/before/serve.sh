#!/bin/sh
# make sure of it
exec make serve
