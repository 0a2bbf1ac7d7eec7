"""What no single key can know: references, order in time, doubles, keys that need each other.

Law: it looks at the file's data, not at the model, so that a typing error in one place hides no broken reference in
another. What is not well formed is passed over; the model complains about it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from waitroom.settings import addresses, units
from waitroom.settings.problems import Finding, key_text
from waitroom.settings.spelling import close, is_name
from waitroom.settings.units import BadValueError
from waitroom.settings.yaml12 import Path

T = TypeVar("T")
Data = Mapping[str, object]

EVERY_PATH = ("*", "/*", "/**")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def cross_check(data: Data) -> Iterator[Finding]:
    """Findings about the settings as a whole."""
    pools = _mapping(data.get("pools"))
    yield from _default_pool(data, pools)
    yield from _same_backends(pools)
    yield from _fewer_than_workers(data.get("workers"), pools)
    for name, pool in pools.items():
        yield from _pool(_mapping(pool), ("pools", name))
        if _mapping(_mapping(pool).get("priority")).get("roster") is not None and data.get("identity") is None:
            wrong = "names students, and without identity nobody is known by name"
            yield Finding(("pools", name, "priority", "roster"), wrong, "identity beside pools", at_key=True)
    for name, exam in _mapping(data.get("exams")).items():
        yield from _exam(_mapping(exam), ("exams", name), pools)
    yield from _same_rules(_mapping(data.get("exams")))
    for key in ("bypass", "release"):
        yield from _wide_rules(data.get(key), key)
    yield from _same_names(data.get("pace"), ("pace",))
    yield from _paces(data)
    yield from _same_names(_mapping(data.get("admin")).get("tokens"), ("admin", "tokens"))
    yield from _trust(data)
    listeners = _listeners(_mapping(data.get("listen")))
    yield from _same_listeners(listeners)
    yield from _loops(pools, listeners)


def _default_pool(data: Data, pools: Data) -> Iterator[Finding]:
    name, names = data.get("default_pool"), list(pools)
    if is_name(name) and pools and name not in pools:
        yield Finding(("default_pool",), f"there is no pool {name}", ", ".join(names), close(name, names))
    if "default_pool" not in data and len(pools) > 1:
        wrong = "missing: which pool serves requests that name no exam"
        yield Finding(("default_pool",), wrong, ", ".join(names), at_key=True)


def _exam(exam: Data, path: Path, pools: Data) -> Iterator[Finding]:
    name, names = exam.get("pool"), list(pools)
    if is_name(name) and pools and name not in pools:
        yield Finding((*path, "pool"), f"there is no pool {name}", ", ".join(names), close(name, names))
    opens, closes = (_read(units.parse_instant, exam.get(key)) for key in ("opens", "closes"))
    if opens is not None and closes is not None and closes <= opens:
        yield Finding((*path, "closes"), "is not after opens", f"a time after {exam['opens']}")
    if exam.get("order") == "draw" and exam.get("opens") is None:
        yield Finding((*path, "order"), "has no effect without an opening", "opens beside it", at_key=True)


def _same_backends(pools: Data) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for pool_name, pool in pools.items():
        for name, backend in _mapping(_mapping(pool).get("backends")).items():
            url = _read(addresses.parse_backend_url, _mapping(backend).get("url"))
            path: Path = ("pools", pool_name, "backends", name, "url")
            if url is not None and (earlier := first.setdefault(str(url).lower(), path)) is not path:
                yield Finding(path, f"the same as {key_text(earlier)}", "each backend in one place only")


def _fewer_than_workers(workers: object, pools: Data) -> Iterator[Finding]:
    """A visitor's connection belongs to one worker, which has to be able to serve it."""
    if not isinstance(workers, int):
        return
    for pool_name, pool in pools.items():
        for name, backend in _mapping(_mapping(pool).get("backends")).items():
            most = _mapping(backend).get("max_inflight")
            if isinstance(most, int) and 0 < most < workers:
                path: Path = ("pools", pool_name, "backends", name, "max_inflight")
                wrong = f"{most} is less than the {workers} workers, each of which sends one request at a time at least"
                yield Finding(path, wrong, f"{workers} or more, or fewer workers")


def _pool(pool: Data, path: Path) -> Iterator[Finding]:
    admission = _mapping(pool.get("admission"))
    limited = admission.get("rate", "unlimited") != "unlimited"
    adaptive = admission.get("adaptive") is not None
    if not limited and "burst" in admission:
        yield Finding((*path, "admission", "burst"), "has no effect without a rate", "a rate beside it", at_key=True)
    if not limited and adaptive:
        yield Finding((*path, "admission", "adaptive"), "has no ceiling to stay below", "a rate beside it", at_key=True)
    ceiling, floor = (
        _read(units.parse_rate, value)
        for value in (admission.get("rate"), _mapping(admission.get("adaptive")).get("min_rate"))
    )
    if ceiling is not None and floor is not None and floor > ceiling:
        yield Finding((*path, "admission", "adaptive", "min_rate"), "is above the rate", f"up to {admission['rate']}")
    for name, backend in _mapping(pool.get("backends")).items():
        if isinstance(backend, Mapping) and backend.get("max_sessions") is None and not limited:
            wrong = "missing: without it, and without admission.rate, nobody would ever wait"
            yield Finding((*path, "backends", name, "max_sessions"), wrong, at_key=True)


def _same_rules(exams: Data) -> Iterator[Finding]:
    """An exam's rule that another exam has word for word is never asked: the first in the file wins."""
    first: dict[str, str] = {}
    for name, exam in exams.items():
        for index, rule in enumerate(_sequence(_mapping(exam).get("match"))):
            if not isinstance(rule, Mapping) or not rule:
                continue
            if (earlier := first.setdefault(_spelt(rule), name)) != name:
                wrong = f"the same rule as in {earlier}, which comes first and wins"
                yield Finding(("exams", name, "match", index), wrong, "each rule in one exam only")


def _paces(data: Data) -> Iterator[Finding]:
    """Rules of a pace that nothing can come to, or everything; and waits that the data path would cut short."""
    hosts = [host.lower() for host in _sequence(data.get("hosts")) if isinstance(host, str)]
    prefix, said = data.get("prefix", "/_waitroom/"), _mapping(data.get("timeouts")).get("response")
    response = _read(units.parse_duration, said)
    first: dict[str, object] = {}
    for index, pace in enumerate(map(_mapping, _sequence(data.get("pace")))):
        rule, path, longest = _mapping(pace.get("match")), ("pace", index, "match"), pace.get("max_wait")
        host, stated = rule.get("host"), rule.get("path")
        if rule and (earlier := first.setdefault(_spelt(rule), pace.get("name"))) != pace.get("name"):
            yield Finding(path, f"the same rule as of {earlier}, which comes first and wins", "each rule once")
        if set(rule) == {"path"} and stated in EVERY_PATH:
            wrong = "matches every request: answers being saved would wait for a turn"
            yield Finding((*path, "path"), wrong, "a narrower rule")
        if isinstance(stated, str) and isinstance(prefix, str) and stated.startswith(prefix):
            yield Finding((*path, "path"), f"{prefix} is ours, and never paced", "a path of the exam server")
        if hosts and isinstance(host, str) and host.lower() not in hosts:
            yield Finding((*path, "host"), f"{host} is not served: it is not in hosts", ", ".join(hosts))
        wait = _read(units.parse_duration, longest)
        if response is not None and wait is not None and wait >= response:
            yield Finding(("pace", index, "max_wait"), "is not below timeouts.response", f"less than {said}")


def _spelt(rule: Data) -> str:
    """A rule's text, whatever the order of its parts."""
    return repr(sorted((str(key), _in_order(value)) for key, value in rule.items()))


def _wide_rules(rules: object, key: str) -> Iterator[Finding]:
    consequence = {"bypass": "nobody would ever wait", "release": "every request would end its session"}[key]
    for index, rule in enumerate(_sequence(rules)):
        stated = _mapping(rule)
        if set(stated) == {"path"} and stated["path"] in EVERY_PATH:
            yield Finding((key, index, "path"), f"matches every request: {consequence}", "a narrower rule")


def _same_names(entries: object, path: Path) -> Iterator[Finding]:
    seen: set[object] = set()
    for index, entry in enumerate(_sequence(entries)):
        name = _mapping(entry).get("name")
        if isinstance(name, str) and name in seen:
            yield Finding((*path, index, "name"), f"{name} comes twice", "each name once")
        seen.add(name if isinstance(name, str) else None)


def _trust(data: Data) -> Iterator[Finding]:
    networks = _sequence(data.get("trusted_proxies"))
    for index, text in enumerate(networks):
        network = _read(addresses.parse_network, text)
        if network is not None and network.prefixlen == 0:
            wrong = f"{text} trusts everybody: any client could name any address as its own"
            yield Finding(("trusted_proxies", index), wrong, "the networks of your own proxies")
    wrong = "is believed from nobody: trusted_proxies is empty"
    if _mapping(data.get("identity")).get("header") is not None and not networks:
        yield Finding(("identity", "header"), wrong, "trusted_proxies with the sign-on proxy in it")
    public = _mapping(data.get("listen")).get("public")
    for index, entry in enumerate(_sequence(public) or (public,)):
        if _mapping(entry).get("proxy_protocol") is True and not networks:
            path: Path = ("listen", "public", *([index] if entry is not public else []), "proxy_protocol")
            yield Finding(path, wrong, "trusted_proxies with the load balancer in it")


Listeners = list[tuple[Path, addresses.Address]]


def _listeners(listen: Data) -> Listeners:
    """Where we listen, the defaults included, those that the file states last."""
    public = listen.get("public", addresses.DEFAULT_PUBLIC)
    entries = _sequence(public) or (public,)
    wanted: list[tuple[Path, object]] = [(("listen", "admin"), listen.get("admin", addresses.DEFAULT_ADMIN))]
    for index, entry in enumerate(entries):
        path: Path = ("listen", "public", index) if entries is public else ("listen", "public")
        wanted.append((path, _mapping(entry).get("address", entry)))
    if "public" not in listen:
        wanted.reverse()
    read = ((path, _read(addresses.parse_listen, text)) for path, text in wanted)
    return [(path, address) for path, address in read if address is not None]


def _same_listeners(listeners: Listeners) -> Iterator[Finding]:
    """Two listeners at one place; 0.0.0.0 and [::] take a port on every address."""
    for at, (path, address) in enumerate(listeners):
        taken = next(((earlier, other) for earlier, other in listeners[:at] if _meet(address, other)), None)
        if taken is not None:
            yield Finding(path, f"{address} is taken by {key_text(taken[0])} ({taken[1]})", "each address once")


def _loops(pools: Data, listeners: Listeners) -> Iterator[Finding]:
    """A backend that is a listener of ours: each request would ask itself for an answer."""
    for pool_name, pool in pools.items():
        for name, backend in _mapping(_mapping(pool).get("backends")).items():
            url = _read(addresses.parse_backend_url, _mapping(backend).get("url"))
            if url is None:
                continue
            at = addresses.Address("", 0, url.unix) if url.unix else addresses.Address(url.host, url.port)
            for path, address in listeners:
                if _reaches(at, address):
                    wrong = f"{url} is our own {key_text(path)} ({address}): requests would go round in a circle"
                    yield Finding(("pools", pool_name, "backends", name, "url"), wrong, "the exam server's address")
                    break


def _reaches(at: addresses.Address, listener: addresses.Address) -> bool:
    """Whether a connection to `at` surely comes to this listener of the same machine."""
    if at.unix or listener.unix:
        return at.unix == listener.unix
    local = at.host in LOOPBACK and listener.host in addresses.EVERY_ADDRESS | LOOPBACK
    return (at.host == listener.host or local) and at.port == listener.port


def _meet(one: addresses.Address, other: addresses.Address) -> bool:
    if one.unix or other.unix:
        return one.unix == other.unix
    same_host = one.host == other.host or bool(addresses.EVERY_ADDRESS & {one.host, other.host})
    return same_host and one.port == other.port != 0


def _in_order(value: object) -> object:
    return sorted(value.items()) if isinstance(value, Mapping) else value


def _read(parse: Callable[[str], T], value: object) -> T | None:
    if not isinstance(value, str):
        return None
    try:
        return parse(value)
    except BadValueError:
        return None


def _mapping(value: object) -> Data:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, list | tuple) else ()
