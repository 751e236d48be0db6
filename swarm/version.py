"""The version of this distribution; no other file contains it."""

VERSION = "1.0.0"
