"""Parts that all web pages share: style, palette, templates, pictures, and the rule for hosts.

`pages` renders the templates, `svg` draws pictures, `hosts` refuses requests from other names than
loopback's. A page is one file: its style, script and pictures are inside.
"""
