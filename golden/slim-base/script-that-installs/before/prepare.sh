#!/bin/sh
pip install acme-metrics
