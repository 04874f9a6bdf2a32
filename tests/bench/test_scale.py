"""The simulation of docs/scale.md: what arrives is accounted for, limits hold, and small cases are right by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import inf
from pathlib import Path
from random import Random

import pytest
import yaml

from bench.scale import report
from bench.scale.__main__ import SEED
from bench.scale.day import sum_day
from bench.scale.inputs import Assumed, Limits, Measured, Prices, World
from bench.scale.setups import Setup, batches, capacities, quota, renewal_period, setups
from bench.scale.simulation import Pool, Second, Sessions, simulate
from bench.scale.traffic import DAY, day_curve, poisson, surge

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scale.md"
WORLD = World()
SETUPS = (*setups(WORLD), batches(WORLD))
RATES = (0.5, 40, 1_500, 12_000, 40_000)  # links per second


class NoChance(Random):
    """Every quantile is the median."""

    def random(self) -> float:
        return 0.5


def run(
    setup: Setup, rate: float, seconds: int = 200, world: World = WORLD, random: Random | None = None
) -> Sequence[Second]:
    return list(simulate(setup, lambda second: rate, seconds, random or Random(1), world))


class TestLaws:
    @pytest.mark.parametrize("rate", RATES)
    @pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
    def test_every_arrival_is_answered_throttled_or_without_a_session(self, setup: Setup, rate: float) -> None:
        for second in run(setup, rate):
            parts = (second.answered, second.throttled, second.unavailable)
            assert sum(parts) == pytest.approx(second.arrivals)
            assert min(parts) >= 0
            assert 0 <= second.refused <= second.answered + 1e-6
            assert 0 <= second.cold <= second.answered + 1e-6

    @pytest.mark.parametrize("rate", RATES)
    @pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
    def test_no_second_is_above_a_limit(self, setup: Setup, rate: float) -> None:
        for second in run(setup, rate):
            assert second.instances <= setup.instances * setup.regions
            assert second.sts_calls <= WORLD.limits.sts
            assert second.oss_requests <= WORLD.limits.oss
            assert second.busy <= second.instances * (1 + WORLD.measured.new_process / setup.vcpu) + 1e-9
            assert 0 <= second.utilisation <= 1

    @pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
    def test_more_instances_never_throttle_more(self, setup: Setup) -> None:
        throttled = []
        for instances in (1, 3, 10, 40, 150, 600):
            seconds = simulate(setup._replace(instances=instances), surge(10, 30_000, 50), 200, Random(3), WORLD)
            throttled.append(sum(second.throttled for second in seconds))
        assert throttled == sorted(throttled, reverse=True)
        assert throttled[0] >= throttled[-1]

    @pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
    def test_a_day_without_arrivals_costs_nothing(self, setup: Setup) -> None:
        day = sum_day(setup, run(setup, 0), WORLD)
        assert (day.links, day.instances, day.units, day.usd, day.oss_requests_total, day.p99) == (0, 0, 0, 0, 0, 0)

    @pytest.mark.parametrize("setup", setups(WORLD), ids=lambda setup: setup.name)
    def test_what_fails_is_what_is_above_the_first_limit(self, setup: Setup) -> None:
        most = min(capacities(setup, WORLD).values())
        below, above = run(setup, most * 0.8)[60:], run(setup, most * 1.3)[60:]
        assert sum_day(setup, below, WORLD).failed_share == 0
        failed = sum_day(setup, above, WORLD).failed_share
        if setup.cdn and setup.assume_role:  # a further instance also takes hits from the CDN, down to none
            assert 1 - 1 / 1.3 - 0.02 <= failed <= 1 - WORLD.limits.oss / (most * 1.3) + 0.02
        else:
            assert failed == pytest.approx(1 - 1 / 1.3, abs=0.02)

    def test_the_same_seed_gives_the_same_day_and_another_seed_another(self) -> None:
        setup = SETUPS[1]
        assert run(setup, 900) == run(setup, 900)
        assert run(setup, 900) != run(setup, 900, random=Random(2))


class TestByHand:
    """One instance that serves 100 requests per second, of 250."""

    WORLD = World(Measured(warm_event=1e-12, new_process=0.035), Assumed(overhead=0.01))
    SETUP = Setup("one instance", 1)

    def test_a_second(self) -> None:
        first, second = run(self.SETUP, 250, 2, self.WORLD, NoChance())
        expected = Second(
            arrivals=250,
            answered=100,
            throttled=150,
            unavailable=0,
            refused=0,
            cold=1,
            instances=1,
            sts_calls=0,
            oss_requests=100 + 1 / 60,
            busy=1.1,  # with a tenth of a second for the start, on 0.35 vCPU
            invocations=100,
            utilisation=0,
        )
        assert first == pytest.approx(expected, abs=1e-6)
        assert second == pytest.approx(expected._replace(cold=0, busy=1), abs=1e-6)

    def test_its_bill(self) -> None:
        day = sum_day(self.SETUP, run(self.SETUP, 250, 2, self.WORLD, NoChance())[1:], self.WORLD)
        # 100 invocations, and a second of 0.35 vCPU, 0.5 GB of memory and 0.5 GB of disk
        assert day.units == pytest.approx(0.75 + 0.35 + 0.075 + 0.025)
        assert day.usd == pytest.approx(1.2 * 0.000020)
        priced = self.WORLD._replace(prices=Prices(oss_get=0.01))
        requests = 100 + 1 / 60
        assert sum_day(self.SETUP, run(self.SETUP, 250, 2, priced, NoChance())[1:], priced).usd == pytest.approx(
            1.2 * 0.000020 + requests * 0.01 / 10_000
        )

    def test_its_latency(self) -> None:
        seconds = run(self.SETUP, 250, 2, self.WORLD._replace(measured=Measured()), NoChance())
        day = sum_day(self.SETUP, seconds, self.WORLD._replace(measured=Measured()))
        assert day.p50 == pytest.approx(0.01005, abs=1e-4)  # 0.69 of 71 µs
        assert day.cold_share == pytest.approx(1 / 200, rel=0.02)

    def test_oss_refuses_what_is_above_its_limit(self) -> None:
        world = self.WORLD._replace(limits=Limits(oss=40))
        _, second = run(self.SETUP, 250, 2, world, NoChance())
        assert second.oss_requests == 40
        assert second.refused == pytest.approx(60, abs=0.1)

    def test_a_month_is_billed_by_its_tiers(self) -> None:
        # 600 million units a month: 100 of the first tier, 400 of the second, 100 of the third
        assert Prices().usd(20e6) * 30 == pytest.approx(100 * 20 + 400 * 17 + 100 * 14)


class TestPool:
    def test_instances_are_removed_when_they_were_idle_for_too_long(self) -> None:
        pool = Pool(10, World(limits=Limits(idle=5)))
        started, sizes = [], []
        for second, wanted in enumerate((3, 1, 1, 1, 1, 1, 1, 4)):
            started.append(pool.use(second, wanted))
            sizes.append(pool.size)
        assert sizes == [3, 3, 3, 3, 3, 1, 1, 4]
        assert started == [3, 0, 0, 0, 0, 0, 0, 3]

    def test_starts_are_limited_by_the_burst_and_then_by_the_growth(self) -> None:
        pool = Pool(1_000, World(limits=Limits(burst=10, growth=120)))
        sizes = []
        for second in range(4):
            pool.use(second, 500)
            sizes.append(pool.size)
        assert sizes == [10, 12, 14, 16]

    def test_it_never_has_more_than_it_may(self) -> None:
        pool = Pool(7, WORLD)
        assert pool.use(0, 500) == 7
        assert pool.size == 7


class TestSessions:
    def test_mounts_of_new_instances_wait_for_their_turn_and_are_renewed_in_the_same_order(self) -> None:
        sessions = Sessions(mounts=10, per_second=100, period=50)
        calls = [sessions.advance(second, 25 if second == 0 else 0, 25) for second in range(110)]
        assert {second: count for second, count in enumerate(calls) if count} == {
            0: 100, 1: 100, 2: 50, 50: 100, 51: 100, 52: 50, 100: 100, 101: 100, 102: 50,
        }  # fmt: skip

    def test_an_instance_that_was_removed_renews_nothing(self) -> None:
        sessions = Sessions(mounts=10, per_second=100, period=50)
        sessions.advance(0, 5, 5)
        assert [sessions.advance(second, 0, 2) for second in range(1, 51)][-1] == 20

    def test_requests_of_a_mount_without_a_session_are_unavailable(self) -> None:
        setup = Setup("40 instances", 40, assume_role=True)
        seconds = run(setup, 3_500, 10)
        assert seconds[0].unavailable == pytest.approx(seconds[0].arrivals * (1 - 100 / (10 * seconds[0].instances)))
        assert seconds[-1].unavailable == 0

    def test_the_period_is_that_of_the_function(self) -> None:
        assert renewal_period(WORLD) == 3_600 - 900
        assert renewal_period(World(assumed=Assumed(max_expires=3_600))) == 900


class TestCapacity:
    def test_an_instance_of_a_custom_runtime_is_full_when_it_holds_as_many_as_it_may(self) -> None:
        setup = SETUPS[2]
        rate, processor = setup.instance_rate(WORLD), setup.processor(WORLD)
        waiting = rate * processor / (1 - rate * processor)
        assert rate * WORLD.assumed.overhead + waiting == pytest.approx(setup.concurrency)

    def test_with_assume_role_a_cdn_fetches_an_object_for_each_instance(self) -> None:
        with_role, without = SETUPS[4], SETUPS[3]
        assert [round(with_role.downloads(WORLD, count), 3) for count in (1, 3, 10, 50)] == [0.1, 0.3, 1, 1]
        assert [round(without.downloads(WORLD, count), 3) for count in (1, 50)] == [0.1, 0.1]

    def test_only_sessions_depend_on_sts(self) -> None:
        assert {setup.name for setup in SETUPS if capacities(setup, WORLD)["STS"] < inf} == {SETUPS[4].name}

    def test_a_function_may_have_nine_tenths_of_the_quota(self) -> None:
        assert quota(World(limits=Limits(instances=300))) == 270


@pytest.mark.shipped_files
def test_the_deployments_are_those_of_the_shipped_files() -> None:
    built_in = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["links_http"]["props"]
    custom_file = ROOT / "deploy/custom-runtime/s.yaml"
    custom = yaml.safe_load(custom_file.read_text("utf-8"))["resources"]["links_traffic"]["props"]
    for props, setup in ((built_in, SETUPS[0]), (custom, SETUPS[2])):
        sizes = (props["cpu"], props["memorySize"] / 1024, props["diskSize"] / 1024)
        assert sizes == (setup.vcpu, setup.memory, setup.disk)
    assert custom["instanceConcurrency"] == SETUPS[2].concurrency <= WORLD.limits.concurrency
    *_, prod = yaml.safe_load((ROOT / "env.yaml").read_text("utf-8"))["environments"]
    assert prod["overlays"]["resources"]["links_http"]["concurrencyConfig"] == {
        "reservedConcurrency": SETUPS[0].instances
    }


class TestTraffic:
    @pytest.mark.parametrize("peak", [1, 1.7, 3, 6])
    def test_the_curve_of_a_day_has_its_links_and_its_peak(self, peak: float) -> None:
        curve = day_curve(8_640_000, peak, 21)
        rates = [curve(second) for second in range(0, DAY, 60)]
        assert sum(rates) / len(rates) == pytest.approx(100)
        assert max(rates) == curve(21 * 3_600) == pytest.approx(100 * peak)
        assert min(rates) >= 0

    @pytest.mark.parametrize("mean", [0.1, 2.5, 29, 31, 400])
    def test_arrivals_have_the_mean_and_the_variance_of_poisson(self, mean: float) -> None:
        random = Random(5)
        counts = [poisson(mean, random.random()) for _ in range(4_000)]
        average = sum(counts) / len(counts)
        assert average == pytest.approx(mean, rel=0.05)
        assert sum((count - average) ** 2 for count in counts) / len(counts) == pytest.approx(mean, rel=0.1)

    def test_nothing_arrives_at_a_rate_of_zero(self) -> None:
        assert poisson(0, 0.999999) == 0


class TestPage:
    def test_what_does_not_need_a_simulated_day_is_what_the_numbers_give(self) -> None:
        page = PAGE.read_text("utf-8")
        sections = {
            "measured": report.measurements(WORLD),
            "assumed": report.assumptions(WORLD),
            "limits": report.limits(WORLD),
            "rates": report.highest_rates(WORLD),
            "overheads": report.overheads(WORLD),
            "operations": report.operations(WORLD),
            "renewals": report.renewals(WORLD),
            "bandwidth": report.bandwidth(WORLD),
            "surge": report.surges(SEED, WORLD),
        }
        assert report.replace_sections(page, sections) == page, "Run .venv/bin/python3 -m bench.scale --docs."

    @pytest.mark.long
    def test_the_days_are_what_the_simulation_gives(self) -> None:
        page = PAGE.read_text("utf-8")
        days = {
            (links, setup): report.simulate_day(links, setup, SEED, WORLD)
            for links, setup in product(report.VOLUMES, setups(WORLD))
        }
        assert report.replace_sections(page, report.sections(days, SEED, WORLD)) == page

    def test_a_section_without_markers_is_an_error(self) -> None:
        with pytest.raises(LookupError, match="'rates'"):
            report.replace_sections("<!-- begin: days -->\n\n<!-- end: days -->", {"rates": ""})

    def test_figures_are_written_as_people_say_them(self) -> None:
        assert [report.amount(links) for links in (57_213_000, 2_399_000_000, 1e6)] == [
            "57 million",
            "2.4 billion",
            "1 million",
        ]
        assert [report.share(part) for part in (0, 0.00001, 0.2242)] == ["0", "< 0.1%", "22.4%"]
        assert [report.rate(value) for value in (9_999.9, 76_580, inf)] == ["10,000", "76,600", ""]

    def test_lines_that_lie_on_each_other_are_drawn_once(self) -> None:
        series = {"a": [(0, 100.0), (1, 50.0)], "b": [(0, 100.0), (1, 40.0)], "c": [(0, 99.5), (1, 50.5)]}
        assert report.merged(series) == {"a\nc": series["a"], "b": series["b"]}

    def test_the_pictures_of_the_page_exist(self) -> None:
        for name in ("scale.svg", "scale-day.svg"):
            assert f"images/performance/{name}" in PAGE.read_text("utf-8")
            assert (ROOT / "docs/images/performance" / name).stat().st_size < 40_000
