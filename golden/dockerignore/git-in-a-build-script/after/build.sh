#!/bin/sh
git describe > VERSION
