"""Masking of secrets, in every way in which a program may escape them."""

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.collector.masking import MASK, mask_secrets

SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text).replace("/", "\\/")[1:-1],
    lambda text: json.dumps(json.dumps(text))[3:-3],
    html.escape,
    lambda text: html.escape(text, quote=False),
    lambda text: html.escape(html.escape(text)),
    lambda text: html.escape(json.dumps(text)[1:-1]),
    lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    lambda text: "".join(f"&#X{ord(sign):04X};" for sign in text),
    lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    quote,
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: quote(quote(text, safe="")),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
    lambda text: ascii(text)[1:-1],
]

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="⟦⟧")
SECRETS = st.text(st.one_of(st.sampled_from("ab &<>\"'\\/%+ü😀\n"), LETTERS), min_size=1)


@pytest.mark.parametrize("spell", SPELLINGS)
@given(secret=SECRETS)
def test_every_spelling(spell: Callable[[str], str], secret: str) -> None:
    """However a secret is escaped, and whatever surrounds it, all of it is masked."""
    assert f"⟦{MASK}⟧" == mask_secrets(f"⟦{spell(secret)}⟧", [secret])


def test_what_is_no_secret_stays() -> None:
    """Other text is kept, also if it is similar."""
    assert "Secret s3cre t 100%" == mask_secrets("Secret s3cre t 100%", ["s3cret"])
    assert "***, \\n%41 *** &amp;***" == mask_secrets('a"b, \\n%41 a\\"b &amp;a&quot;b', ['a"b'])
    assert "a" == mask_secrets("a", ["", ""])
    assert "" == mask_secrets("", ["s3cret"])


def test_several_secrets() -> None:
    """Each of several secrets is masked; overlapping ones become one mask."""
    assert "*** ***" == mask_secrets("abc x\\/y%3d", ["abc", "x/y="])
    assert "<***>" == mask_secrets("<abcde>", ["abc", "cde"])
    assert "***" == mask_secrets("aaaa", ["aa"])


@pytest.mark.parametrize("secret", ["\\" * 12 + "x", "&" * 12, "%" * 12 + "x", " " * 12, "a" * 99])
@pytest.mark.parametrize("sign", ["\\", "&amp;", "%25", "+", "&#0", "\\\\a", "a", "%5cx5cu0025"])
def test_no_text_takes_long(secret: str, sign: str) -> None:
    """No text takes long, however it is made."""
    text = (sign * 65_536)[:65_536]
    started = time.process_time()
    mask_secrets(text + "x", [secret])
    assert time.process_time() - started < 5
