#!/bin/sh
gcc -shared -o libx.so x.c
