"""Parts that all web pages share: style, palette, templates, pictures, and the rule for hosts.

`pages` renders templates, `svg` and `calendar` draw, `serving` has sockets and headers of servers,
`hosts` refuses requests with other names than loopback's. A page is one file: its style, script and
pictures are inside.
"""
