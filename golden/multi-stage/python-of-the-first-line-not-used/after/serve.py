#!/usr/bin/python3
from app import app

print(app)
