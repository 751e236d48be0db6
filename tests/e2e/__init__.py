"""The command itself: real processes, sockets, terminals and files."""
