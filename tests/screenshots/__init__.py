"""The pictures of README and docs, of a real run over the sample meters.

``python -m tests.screenshots`` writes them to ``docs/pictures``. It needs Chromium and the extra
``test``.
"""
