"""Hypothesis strategies for URLs and other spellings of them."""

from hypothesis import strategies as st

SEGMENT = st.lists(
    st.one_of(
        st.sampled_from("abzAZ09-._~!$&'()*+,;=:"),
        st.sampled_from(["%2F", "%25", "%C3%BC", "%3F", "%20", "%5B"]),
    ),
    min_size=1,
    max_size=4,
).filter(lambda pieces: "".join(pieces) not in {".", ".."})


@st.composite
def respelled(draw: st.DrawFn) -> tuple[str, str]:
    """Return a URL, and another spelling of it."""
    host = draw(
        st.sampled_from(["h.example", "xn--bcher-kva.example", "192.0.2.1", "[2001:db8::1]"])
    )
    port = draw(st.sampled_from([443, 8443, 1]))
    path = draw(st.lists(SEGMENT, max_size=3))
    authority = host if port == 443 else f"{host}:{port}"
    plain = f"https://{authority}/" + "".join("".join(segment) + "/" for segment in path)
    return plain, f"{draw(cases('https'))}://{draw(authorities(host, port))}{draw(paths(path))}"


@st.composite
def cases(draw: st.DrawFn, text: str) -> str:
    """Return a text with some or all of its letters in upper case."""
    return "".join(draw(st.sampled_from([sign, sign.upper()])) for sign in text)


@st.composite
def authorities(draw: st.DrawFn, host: str, port: int) -> str:
    """Return another spelling of host and port."""
    hosts = {
        "xn--bcher-kva.example": ["bücher.example", "BÜCHER。Example", "b%c3%bccher.example"],
        "h.example": ["h.example.", "%68.example", "%48.Example"],
        "192.0.2.1": ["192.0.513", "0xC0.0.2.1", "3221225985", "0300.0.2.01", "192.0.2.1."],
        "[2001:db8::1]": ["[2001:0DB8:0:0::1]"],
    }
    name = draw(st.sampled_from([draw(cases(host)), *hosts[host]]))
    zeros = "0" * draw(st.integers(0, 3))
    return name + draw(st.sampled_from([f":{zeros}{port}"] + ["", ":"] * (port == 443)))


@st.composite
def paths(draw: st.DrawFn, path: list[list[str]]) -> str:
    """Return another spelling of a path."""
    nothing = st.sampled_from(["", "/", "/.", "/a/..", "/%2e", "/%41/%2E%2e", "//", "/%C3%BC/.."])
    text = draw(nothing)
    for segment in path:
        text += "/" + "".join(draw(pieces(piece)) for piece in segment) + draw(nothing)
    return text + draw(st.sampled_from(["", "/", "/."]))


@st.composite
def pieces(draw: st.DrawFn, piece: str) -> str:
    """Return another spelling of a piece of a segment."""
    if piece.startswith("%"):
        lower = [piece.lower(), *(["ü"] if piece == "%C3%BC" else [])]
        return draw(st.sampled_from([piece, *lower]))
    escape = f"%{ord(piece):02X}"
    is_reserved = piece in "!$&'()*+,;=:"
    return draw(st.sampled_from([piece] + [escape, escape.lower()] * (not is_reserved)))
