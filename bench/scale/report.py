"""The generated sections of docs/scale.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import inf
from random import Random

from .day import Day, sum_day
from .inputs import ASSUMPTIONS, COMMANDS, SOURCES, World
from .setups import Setup, batches, capacities, renewal_period, setups
from .simulation import simulate
from .traffic import DAY, day_curve, surge

VOLUMES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)  # links a day
BILLION = VOLUMES[-1]
QUIET = 100  # links per second before the surge
MINUTE = 60  # seconds of the surge
WARM_UP = 600  # seconds
OVERHEADS = (0.002, 0.005, 0.010, 0.020, 0.050)  # seconds

# The first limit of a deployment, as a sentence names it.
LIMITS: Mapping[str, str] = {
    "instances": "its number of instances",
    "OSS": "the requests per second that OSS allows an account",
    "STS": "the calls of STS that renew sessions",
}
Days = Mapping[tuple[int, Setup], Day]


def simulate_day(links: float, setup: Setup, seed: int, world: World) -> Day:
    """A day that begins with the instances of the ten minutes before it."""
    curve = day_curve(links, world.assumed.peak, world.assumed.peak_hour)
    seconds = simulate(setup, lambda second: curve(second - WARM_UP), WARM_UP + DAY, Random(seed), world)
    return sum_day(setup, islice(seconds, WARM_UP, None), world)


def per_day(links_per_second: float, world: World) -> float:
    """The links of a day whose busiest second has this rate."""
    return links_per_second * DAY / world.assumed.peak


def summary(days: Days, world: World) -> str:
    shipped, built_in, custom, cdn, *_ = setups(world)
    carried = {setup: min(capacities(setup, world).items(), key=lambda item: item[1]) for setup in setups(world)}
    limits = {setup: LIMITS[name] for setup, (name, _) in carried.items()}
    links = {setup: amount(per_day(rate, world)) for setup, (_, rate) in carried.items()}
    billion = days[BILLION, cdn]
    return (
        f"As `env.yaml` has it, a deployment carries {links[shipped]} links a day, and the first limit is "
        f"{limits[shipped]} (`reservedConcurrency`), beyond which visitors get a 429. With all instances of a default "
        f"quota it carries {links[built_in]} on the built-in runtime, where the first limit is {limits[built_in]}, and "
        f"{links[custom]} on the custom runtime, where it is {limits[custom]}. A billion a day needs the custom "
        f"runtime, and a CDN in front of mounts with `cache` or a higher limit from OSS: then {billion.instances} "
        f"instances carry it, and Function Compute costs USD {billion.usd_per_million:.2f} per million links."
    )


def measurements(world: World) -> str:
    values = world.measured._asdict()
    rows = [(meaning, _measured(values[name]), _origin(origin)) for name, (meaning, origin) in COMMANDS.items()]
    return table(("figure", "value", "from"), rows, "---|--:|---")


def assumptions(world: World) -> str:
    values = world.assumed._asdict()
    milliseconds = ("overhead", "start", "sts_call")
    rows = [
        (form.format(values[name] * 1_000 if name in milliseconds else values[name]), f"{meaning}.")
        for name, (form, meaning) in ASSUMPTIONS.items()
    ]
    return table(("assumed", ""), rows, "--:|---")


def limits(world: World) -> str:
    values = world.limits._asdict()
    rows = [(form.format(values[name]), f"[{title}]({url})") for name, (form, title, url) in SOURCES.items()]
    return table(("limit", "page, and its date"), rows, "---|---")


def highest_rates(world: World) -> str:
    """Links per second at which each limit is reached, and the day that has this rate at its peak."""
    rows = []
    for setup in (*setups(world), batches(world)):
        each = capacities(setup, world)
        first = min(each, key=lambda name: each[name])
        cells = [f"**{rate(each[name])}**" if name == first else rate(each[name]) for name in LIMITS]
        rows.append((setup.name, *cells, amount(per_day(each[first], world))))
    header = ("links per second until the limit of", *LIMITS, "links a day with such a peak")
    return table(header, rows)


def overheads(world: World) -> str:
    """Links per second that the instances serve, by the assumption that decides most."""
    rows = []
    for overhead in OVERHEADS:
        other = world._replace(assumed=world.assumed._replace(overhead=overhead))
        cells = [rate(capacities(setup, other)["instances"]) for setup in setups(other)[:3]]
        rows.append((f"{overhead * 1e3:.0f} ms", *cells))
    return table(("a request holds its instance for", *(setup.name for setup in setups(world)[:3])), rows)


def operations(world: World) -> str:
    """Requests to OSS of everything that a deployment does, and how often a second OSS allows it."""
    measured, most = world.measured, world.limits
    notice = measured.oss_notice + measured.oss_sink
    rows = [
        (name, str(requests), f"{most.oss / requests:,.0f}", "")
        for name, requests in (
            ("a redirect, and the download", 1),
            ("the same on a mount with `check`", 2),
            ("a share opened in a browser, and the download", measured.oss_opening + 1),
            ("a limited share used, and the download", measured.oss_limited_share + 1),
        )
    ]
    # The name of an entry in the outbox begins with its time; it is written and deleted.
    ordered = f"{most.oss_sequential / 2:,.0f}: entries of the outbox have names that follow each other"
    rows.append(("an event with one notice to one sink", str(notice), f"{most.oss / notice:,.0f}", ordered))
    return table(("", "requests to OSS", "at most per second", "and by the order of names"), rows, "---|--:|--:|---")


def day_table(days: Days, world: World) -> str:
    rows = []
    for (links, setup), day in days.items():
        rows.append(
            (
                amount(links),
                setup.name,
                f"{day.instances:,}",
                f"{day.cold_share * 1e6:,.0f}",
                f"{day.p50 * 1e3:.0f}",
                f"{day.p99 * 1e3:.0f}",
                share(day.throttled / day.links),
                share(day.unavailable / day.links),
                share(day.refused / day.links),
                f"{day.sts_calls:,.0f}",
                f"{day.oss_requests:,.0f}",
                f"{day.usd_per_million:.2f}",
            )
        )
    header = ("links a day", "deployment", "instances", "cold per million", "p50 ms", "p99 ms", "429")
    bill = "USD per million" if world.prices.oss_get is None else "USD per million, with OSS"
    return table((*header, "503", "OSS refuses", "STS/s", "OSS/s", bill), rows, "--:|---|" + "|".join(["--:"] * 10))


def surges(seed: int, world: World) -> str:
    """What the first minute is like if a quiet service gets the peak of a billion links a day within one second."""
    peak = BILLION / DAY * world.assumed.peak
    wait = world.limits.idle + MINUTE
    rows = []
    for setup in setups(world):
        seconds = list(simulate(setup, surge(QUIET, peak, wait), wait + MINUTE, Random(seed), world))[wait:]
        failing = [(each.throttled + each.unavailable + each.refused) / each.arrivals for each in seconds]
        rows.append(
            (
                setup.name,
                f"{seconds[-1].instances:,}",
                f"{seconds[0].cold:,.0f}",
                share(failing[0]),
                share(sum(failing) / MINUTE),
                str(sum(each.sts_calls >= world.limits.sts for each in seconds)),
            )
        )
    header = ("deployment", "instances", "links that wait for a start", "fail in the first second")
    return table((*header, "in the first minute", "seconds with STS at its limit"), rows)


def renewals(world: World) -> str:
    """What sessions cost STS, in a sentence."""
    mounts, period = world.assumed.mounts, renewal_period(world)
    most = world.limits.sts * period / mounts
    start = world.limits.burst * mounts / world.limits.sts
    return (
        f"Each instance calls STS once for each of its {mounts} mounts, and again every {period:,.0f} seconds. So STS "
        f"renews the sessions of {most:,.0f} instances. {world.limits.burst} instances that start at once keep STS "
        f"busy for {start:,.0f} seconds, and until its turn a mount of a new instance answers 503."
    )


def bandwidth(world: World) -> str:
    """From which size of files the bandwidth is reached before the requests per second are, in a sentence."""
    kilobytes = world.limits.download * 1e9 / 8 / world.limits.oss / 1e3
    return (
        f"Files of more than {kilobytes:,.0f} kB reach {world.limits.download} Gbit/s before they reach "
        f"{world.limits.oss:,} downloads per second."
    )


def bill(days: Days, world: World) -> str:
    """What Function Compute costs at a billion links a day, in a sentence."""
    _, built_in, _, cdn, *_ = setups(world)
    day = days[BILLION, cdn]
    one = days[VOLUMES[0], built_in]
    return (
        f"A billion links a day take {day.units / 1e6:,.0f} million units a day on the custom runtime: USD "
        f"{day.usd * 30:,.0f} for a month of 30 days. A million links a day take USD {one.usd * 30:,.2f} a month on "
        f"the built-in runtime."
    )


def sections(days: Days, seed: int, world: World) -> Mapping[str, str]:
    """The content of each generated section, by its name."""
    return {
        "summary": summary(days, world),
        "measured": measurements(world),
        "assumed": assumptions(world),
        "limits": limits(world),
        "rates": highest_rates(world),
        "overheads": overheads(world),
        "operations": operations(world),
        "renewals": renewals(world),
        "bandwidth": bandwidth(world),
        "bill": bill(days, world),
        "days": day_table(days, world),
        "surge": surges(seed, world),
    }


def replace_sections(page: str, contents: Mapping[str, str]) -> str:
    """The page with other content between its markers. Raises `LookupError` for a section without markers."""
    for name, content in contents.items():
        begin, end = f"<!-- begin: {name} -->\n", f"\n<!-- end: {name} -->"
        before, found, rest = page.partition(begin)
        _, ends, after = rest.partition(end)
        if not found or not ends:
            raise LookupError(f"The page has no section {name!r}: it requires {begin.strip()} and {end.strip()}.")
        page = f"{before}{begin}{content}{end}{after}"
    return page


def delivered_by_volume(world: World) -> Mapping[str, Sequence[tuple[float, float]]]:
    """The share of a day's links, in percent, that the limits let through, for 1 million to 1 billion links a day."""
    volumes = [10 ** (6 + step / 8) for step in range(25)]
    series = {}
    for setup in setups(world):
        most = min(capacities(setup, world).values())
        series[setup.name] = [(volume, 100 * _delivered(volume, most, world)) for volume in volumes]
    return series


def merged(series: Mapping[str, Sequence[tuple[float, float]]]) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Lines that lie on each other as one, with all of their names."""
    lines: list[tuple[list[str], Sequence[tuple[float, float]]]] = []
    for name, points in series.items():
        for names, others in lines:
            if all(abs(y - other) <= 0.02 * max(y, other) for (_, y), (_, other) in zip(points, others, strict=True)):
                names.append(name)
                break
        else:
            lines.append(([name], points))
    return {"\n".join(names): points for names, points in lines}


def table(header: Iterable[str], rows: Iterable[Iterable[str]], align: str = "") -> str:
    names = list(header)
    line = align or "---|" + "|".join(["--:"] * (len(names) - 1))
    return "\n".join([f"| {' | '.join(names)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)])


def amount(links: float) -> str:
    """Two digits, as people say it: 57 million, 2.4 billion."""
    links = float(f"{links:.2g}")
    return f"{links / 1e9:g} billion" if links >= 1e9 else f"{links / 1e6:g} million"


def rate(links_per_second: float) -> str:
    return "" if links_per_second == inf else f"{float(f'{links_per_second:.3g}'):,.0f}"


def share(part: float) -> str:
    return "0" if part == 0 else f"{part:.1%}" if part >= 0.0005 else "< 0.1%"


def _delivered(links: float, most: float, world: World) -> float:
    curve = day_curve(links, world.assumed.peak, world.assumed.peak_hour)
    minutes = [curve(second) for second in range(0, DAY, 60)]
    return sum(min(each, most) for each in minutes) / sum(minutes)


def _measured(value: float) -> str:
    if value >= 1:
        return f"{value:,.0f}"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def _origin(origin: str) -> str:
    return f"[{origin}]({origin})" if origin.endswith(".md") else f"`{origin}`"
