"""The version of this distribution, in the one place where it is written."""

VERSION = "1.0.0"
