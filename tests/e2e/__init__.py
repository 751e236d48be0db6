"""Tests of the command itself: real processes, sockets, terminals and files."""
