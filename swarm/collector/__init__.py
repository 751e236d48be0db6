"""The collector's HTTP API: requests, answers and what they mean.

The doors are `client` (a session's requests and their outcomes), `retry` (verdicts and backoff,
pure) and `transport` (the HTTP engines, alone in knowing an HTTP library). `masking` keeps
secrets out of the collector's words.
"""
