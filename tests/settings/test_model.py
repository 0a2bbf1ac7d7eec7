"""The model: defaults, derived values, and what is refused."""

from pathlib import Path

from waitroom.settings.load import from_mapping, load
from waitroom.settings.model import Limits, Match, Settings, Timeouts

CONFIG = Path(__file__).parents[2] / "config"


def _settings(pool: dict[str, object] | None = None, **more: object) -> Settings:
    backends = {"a": {"url": "http://10.0.0.1", "max_sessions": 5}}
    return from_mapping({"pools": {"main": {"backends": backends, **(pool or {})}}, **more})


def test_the_example_of_the_design_means_what_it_says() -> None:
    """Every value of the contract's example, in the unit that its attribute names."""
    settings = load(CONFIG / "waitroom.yaml")
    pool = settings.pools["sciences"]
    assert (pool.admission.rate_milli, pool.admission.burst) == (20_000, 40)
    assert (pool.session.idle_timeout_ms, pool.session.max_duration_ms) == (1_800_000, 14_400_000)
    assert pool.session.hold_until_exam_ends is True
    assert (pool.absence_grace_ms, pool.on_store_loss) == (600_000, "hold")
    exam = settings.exams["MATH0001"]
    assert exam.title == {"fr": "Analyse I", "en": "Calculus I"}
    assert exam.match == (
        Match.model_validate({"path": "/mod/quiz/*", "query": {"cmid": "4711"}}),
        Match.model_validate({"host": "math.exam.example"}),
    )
    assert (exam.opens_ms, exam.closes_ms) == (1_938_150_000_000, 1_938_160_800_000)
    assert settings.exams["HIST0042"].title == {"": "Histoire contemporaine"}
    assert settings.pace[0].max_wait_ms == 20_000
    assert settings.timeouts == Timeouts()
    assert settings.limits == Limits()


def test_defaults_are_those_of_the_contract() -> None:
    """The smallest file has a value for everything."""
    settings = load(CONFIG / "minimal.yaml")
    pool = settings.pools["main"]
    assert (settings.workers, settings.queue_status, settings.prefix) == ("auto", 429, "/_waitroom/")
    assert settings.default_pool == "main"
    assert [str(public.address) for public in settings.listen.public] == ["0.0.0.0:8080"]
    assert str(settings.listen.admin) == "127.0.0.1:9090"
    assert (settings.store.url, settings.store.data_dir, settings.secrets.file) == (
        None,
        Path("var"),
        Path("var/secrets"),
    )
    assert (pool.admission.rate_milli, pool.absence_grace_ms) == (0, 600_000)
    assert (pool.session.idle_timeout_ms, pool.session.max_duration_ms) == (1_800_000, 14_400_000)
    assert pool.session.hold_until_exam_ends is None
    timeouts, limits = settings.timeouts, settings.limits
    assert (timeouts.head_ms, timeouts.idle_ms, timeouts.connect_ms, timeouts.response_ms) == (
        10_000,
        75_000,
        5_000,
        300_000,
    )
    assert (timeouts.body_ms, timeouts.tunnel_idle_ms, timeouts.drain_ms, timeouts.tunnel_drain_ms) == (
        60_000,
        0,
        30_000,
        60_000,
    )
    assert (limits.header_bytes, limits.connections, limits.form_bytes, limits.backend_idle) == (
        32_768,
        20_000,
        65_536,
        64,
    )
    assert limits.body_bytes is None
    assert (settings.logging.level, settings.logging.access) == ("info", True)


def test_burst_follows_the_rate() -> None:
    """Two seconds of it, at least one."""
    assert _settings({"admission": {"rate": "20/s"}}).pools["main"].admission.burst == 40
    assert _settings({"admission": {"rate": "6/min"}}).pools["main"].admission.burst == 1
    assert _settings({"admission": {"rate": "20/s", "burst": 3}}).pools["main"].admission.burst == 3


def test_public_addresses_come_alone_or_in_a_list() -> None:
    """One address, several, with TLS or as unix sockets."""
    one = _settings(listen={"public": "[::]:80"}).listen.public
    assert [(public.host, public.port, public.unix, public.tls) for public in one] == [("::", 80, None, None)]
    several = _settings(
        listen={"public": ["127.0.0.1:0", "unix:/run/w.sock", {"address": "unix:///run/x.sock"}]}
    ).listen.public
    assert [(public.host, public.port, public.unix) for public in several] == [
        ("127.0.0.1", 0, None),
        ("", 0, "/run/w.sock"),
        ("", 0, "/run/x.sock"),
    ]


def test_hosts_are_compared_in_lower_case() -> None:
    """As the routing does."""
    assert _settings(hosts=("Exam.Uni.Example", "[2001:DB8::1]")).hosts == ("exam.uni.example", "[2001:db8::1]")
