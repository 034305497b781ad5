#!/bin/sh
echo "redis==5.2.0" >> requirements.txt
