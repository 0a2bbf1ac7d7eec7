"""Who asks: believed from who may say it, and from nobody else."""

import hmac

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.requests import Asked
from waitroom import clock
from waitroom.admission.identity import Known, Registrar
from waitroom.admission.tickets import Ticket
from waitroom.gate.identity import Identities, Source, from_cookie, from_header, from_token_header, own
from waitroom.gate.jar import Credential, Jar
from waitroom.gate.tokens import BadKeyError, verifier

REGISTRAR = Registrar([b"k" * 32])
SECRET = b"s" * 32
RSA = rsa.generate_private_key(65_537, 2_048)
P256 = ec.generate_private_key(ec.SECP256R1())


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


ANN = REGISTRAR.known(b"ann")
assert ANN is not None


@pytest.mark.parametrize(
    ("source", "headers", "trusted", "name"),
    [
        (from_header("X-Remote-User"), [(b"X-Remote-User", b"ann")], True, b"ann"),
        (from_header("X-Remote-User"), [(b"x-remote-user", b"ann")], False, None),
        (from_header("X-Remote-User"), [(b"X-Remote-User", b"bob"), (b"X-Remote-User", b"ann")], True, None),
        (from_header("X-Remote-User"), [], True, None),
        (from_cookie("uid"), [(b"Cookie", b"a=b; uid=ann; c=d")], False, b"ann"),
        (from_cookie("uid"), [(b"Cookie", b'uid="ann"')], False, b"ann"),
        (from_cookie("uid"), [(b"Cookie", b"xuid=bob; uid=ann")], False, b"ann"),
        (from_cookie("uid"), [(b"Cookie", b"uid=ann"), (b"Cookie", b"uid=ann")], False, b"ann"),
        (from_cookie("uid"), [(b"Cookie", b"uid=ann; uid=bob")], False, None),
        (from_cookie("u.d"), [(b"Cookie", b"uid=ann")], False, None),
        (from_cookie("uid"), [], False, None),
        (from_token_header("Authorization"), [(b"Authorization", b"Bearer a.b.c")], False, b"a.b.c"),
        (from_token_header("Authorization"), [(b"Authorization", b"bearer  a.b.c")], False, b"a.b.c"),
        (from_token_header("X-Token"), [(b"X-Token", b"a.b.c")], False, b"a.b.c"),
        (from_token_header("X-Token"), [(b"X-Token", b"a.b.c"), (b"X-Token", b"d.e.f")], False, None),
    ],
)
def test_what_a_request_says(
    source: Source, headers: list[tuple[bytes, bytes]], trusted: bool, name: bytes | None
) -> None:
    """Once, and from who may say it; asked again it says the same."""
    request = Asked(headers=headers, trusted=trusted)
    assert source(request) == name
    assert source(request) == name


@pytest.mark.parametrize("said", [b"", b" ", b"-", b"(null)", b"null", b"undefined", b"x" * 257, b"y" * 9_000])
def test_what_is_no_name(said: bytes) -> None:
    """Proxies and scripts say these of somebody who has not signed on: they are not all one student."""
    identities = Identities(REGISTRAR, lambda _request: said)
    assert identities.of(Asked()) is None


SIGNED: list[tuple[str, bytes, bytes | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]] = [
    ("HS256", SECRET, SECRET), ("RS256", public(RSA), RSA), ("ES256", public(P256), P256),
]  # fmt: skip


@pytest.mark.parametrize(("algorithm", "key", "signer"), SIGNED, ids=[each[0] for each in SIGNED])
def test_a_token_names_a_student(
    algorithm: str, key: bytes, signer: bytes | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    """By its claim, while it is valid; a number is a name too, a list is none."""
    verify, now_s = verifier(key, algorithm, "sub"), clock.now_ms() // 1000

    def signed(**said: object) -> bytes:
        return jwt.encode(dict(said), signer, algorithm=algorithm).encode()

    assert verify(signed(sub="ann", exp=now_s + 90)) == (b"ann", now_s + 120)
    assert verify(signed(sub="ann")) == (b"ann", 0)
    assert verify(signed(sub="ann", aud="whoever")) == (b"ann", 0)
    assert verifier(key, algorithm, "matricule")(signed(matricule=4711)) == (b"4711", 0)
    for refused in (
        signed(sub="ann", exp=now_s - 90), signed(sub="ann", nbf=now_s + 90), signed(name="ann"),
        signed(sub=["ann"]), signed(sub=True), signed(sub="ann", exp=now_s - 90)[:-4], b"", b".", b"a.b.c", b"\xff" * 9,
    ):  # fmt: skip
        assert verify(refused) is None
    ours = verifier(key, algorithm, "sub", "exam")
    assert ours(signed(sub="ann", aud=["mail", "exam"])) == (b"ann", 0)
    assert ours(signed(sub="ann", aud="mail")) is None
    assert ours(signed(sub="ann")) is None


def test_no_other_algorithm_is_taken() -> None:
    """Not `none`, not an HMAC made with what everybody knows, not a signature of another kind."""
    verify = verifier(public(RSA), "RS256", "sub")
    unsigned = jwt.encode({"sub": "ann"}, None, algorithm="none").encode()
    assert verify(unsigned) is None
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}')
    body = jwt.utils.base64url_encode(b'{"sub":"ann"}')
    forged = hmac.digest(public(RSA), head + b"." + body, "sha256")
    assert verify(head + b"." + body + b"." + jwt.utils.base64url_encode(forged)) is None
    assert verify(jwt.encode({"sub": "ann"}, P256, algorithm="ES256").encode()) is None


@pytest.mark.parametrize(
    ("key", "algorithm", "wrong"),
    [
        (b"short", "HS256", "has 5 bytes"),
        (public(RSA), "HS256", "no key for HS256"),
        (b"nonsense", "RS256", "no key for RS256"),
        (public(P256), "RS256", "no key for RS256"),
        (public(RSA), "ES256", "no key for ES256"),
        (private(RSA), "RS256", "is a private key"),
        (public(rsa.generate_private_key(65_537, 1_024)), "RS256", "has 1024 bits"),
        (public(ec.generate_private_key(ec.SECP384R1())), "ES256", "ES256"),
    ],
)
def test_a_key_that_cannot_be_used_is_told(key: bytes, algorithm: str, wrong: str) -> None:
    """When the settings are read, not when the exam begins."""
    with pytest.raises(BadKeyError, match=wrong):
        verifier(key, algorithm, "sub")


def test_a_token_that_was_looked_at_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is verified once and believed until its end."""
    looked: list[bytes] = []

    def verify(token: bytes) -> tuple[bytes, int]:
        looked.append(token)
        return b"ann", 1_000

    identities = Identities(REGISTRAR, from_token_header("X-Token"), verify)
    request = Asked(headers=[(b"X-Token", b"t")])
    for now_ms, known in ((999_000, ANN), (999_999, ANN), (1_000_000, None), (999_000, ANN)):
        monkeypatch.setattr(clock, "now_ms", lambda at=now_ms: at)
        assert identities.of(request) == known
    assert looked == [b"t"]


def _jar(**owners: str) -> Jar:
    return Jar({pool: Credential(Ticket("A" * 16, "", 1, identity=owner), pool) for pool, owner in owners.items()})


def test_of_a_jar_only_what_may_be_theirs() -> None:
    """Tickets of nobody and of this student, under any key; not those of the student before."""
    older = Registrar([b"n" * 32, b"k" * 32]).known(b"ann")
    assert isinstance(older, Known)
    jar = _jar(a="", b=older.hashes[1], c="B" * 22)
    assert set(own(jar, older).by_pool) == {"a", "b"}
    mine = _jar(a="", b=older.hashes[0])
    assert own(mine, older) is mine
    claimed = _jar(a="")
    claimed.by_pool["a"].claimed = "B" * 22
    assert not own(claimed, older).by_pool


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger who names himself anew each time fills no memory."""
    monkeypatch.setattr("waitroom.gate.identity.NAMES_REMEMBERED", 10)
    identities = Identities(REGISTRAR, from_header("X-Remote-User"))
    for n in range(35):
        assert identities.of(Asked(headers=[(b"X-Remote-User", b"u%d" % n)], trusted=True)) is not None
    assert len(identities._seen) <= 10
