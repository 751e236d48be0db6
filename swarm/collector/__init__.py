"""The collector's HTTP API: requests, answers and what they mean.

Other packages use `client` (the requests of a session and their outcomes), `retry` (verdicts and
backoff, without I/O) and `transport` (the HTTP engines; only these import an HTTP library).
`masking` removes secrets from text that the collector sent.
"""
