"""Tools of the measurements: the session, runs of commands, test data, nginx and baselines."""
