"""A form that met the line comes back as the very bytes the browser sent, or is not kept at all."""

import pytest

from waitroom.web.forms import FORM_TYPE, MAX_FIELDS, KeptForm


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"", "utf-8"),
        (b"a=1&b=2&a=3", "utf-8"),
        (b"q%5B%5D=&q%5B%5D=x+y", "utf-8"),
        ("name=Zoé".encode().replace("é".encode(), b"%C3%A9"), "utf-8"),
        (b"name=Zo%E9&price=%80+12&odd=%81%9D", "windows-1252"),
        (b"essay=one%0D%0Atwo%0D%0A%0D%0A&lead=%0D%0Afirst", "utf-8"),
        (b"_charset_=UTF-8&submit=Save&action=x&length=1", "utf-8"),
        (b"markup=%3C%2Ftextarea%3E%3Cscript%3E%26amp%3B%22%27", "utf-8"),
        (b"emoji=%F0%9F%8E%93&tilde=%7E&plus=%2B&percent=%25&star=*-._", "utf-8"),
        (b"entity=%26%238364%3B&e=%E9", "windows-1252"),
    ],
)
def test_kept(body: bytes, charset: str) -> None:
    """What browsers send is kept, with the charset that brings it back."""
    kept = KeptForm.parse(body, FORM_TYPE)
    assert kept is not None
    assert kept.charset == charset


@pytest.mark.parametrize(
    ("why", "body", "content_type"),
    [
        ("a field without a name is never sent", b"=x", FORM_TYPE),
        ("a pair without an equals sign comes back with one", b"a", FORM_TYPE),
        ("empty pairs disappear", b"a=1&&b=2", FORM_TYPE),
        ("lower-case escapes come back in upper case", b"a=%c3%a9", FORM_TYPE),
        ("a lone line feed comes back as CR LF", b"a=%0A", FORM_TYPE),
        ("%20 comes back as +", b"a=%20", FORM_TYPE),
        ("a broken escape comes back whole", b"a=%4", FORM_TYPE),
        ("raw bytes come back escaped", "a=é".encode(), FORM_TYPE),
        ("a NUL does not survive HTML", b"a=%00", FORM_TYPE),
        ("UTF-7 is nobody's charset", b"a=1", FORM_TYPE + b"; charset=utf-7"),
        ("declared UTF-8 is not Latin-1", b"a=%E9", FORM_TYPE + b"; charset=utf-8"),
        ("files are another type", b"a=1", b"multipart/form-data; boundary=x"),
        ("more fields than a page should carry", b"&".join([b"a=1"] * (MAX_FIELDS + 1)), FORM_TYPE),
    ],
)
def test_not_kept(why: str, body: bytes, content_type: bytes) -> None:
    """What would come back changed is not kept."""
    assert KeptForm.parse(body, content_type) is None, why


def test_a_declared_utf_8_is_kept() -> None:
    """The charset parameter some web views add says nothing new."""
    assert KeptForm.parse(b"a=1", FORM_TYPE + b"; charset=UTF-8") is not None


def test_values_are_not_shown_by_accident() -> None:
    """What a student typed does not get into a log through repr."""
    assert "secret" not in repr(KeptForm.parse(b"password=secret", FORM_TYPE))


def test_fields_are_escaped() -> None:
    """A value cannot leave its field."""
    kept = KeptForm.parse(b"%22%3E%3Cb=%3C%2Ftextarea%3E%3Cscript%3E", FORM_TYPE)
    assert kept is not None
    expected = '<textarea name="&quot;&gt;&lt;b">\n&lt;/textarea&gt;&lt;script&gt;</textarea>'
    assert kept.fields() == expected
