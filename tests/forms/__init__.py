"""Sample files in the forms of utilities and loggers, and tests that they become right packets."""
