#!/bin/sh
mkdir -p data
echo ready
