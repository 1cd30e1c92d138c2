"""The restart policy and the watch, without processes."""

import random
import signal

from hypothesis import given
from hypothesis import strategies as st

from ipc.policy import Class, Death, Disable, Limits, Restart, RestartPolicy, StopEngine
from ipc.watch import Patience, Watch, cause, held_up

MS = 1_000_000


def policy(kind: Class = Class.CRITICAL) -> RestartPolicy:
    return RestartPolicy("scan0", kind, Limits(), random.Random(1))


def death(at_s: float, code: int = 1, progress: int = 7, progressed: bool = False) -> Death:
    return Death(at_s, code, progress, progressed)


def test_a_role_that_made_progress_is_restarted_at_once_however_often_it_dies() -> None:
    scan = policy()
    for i in range(100):
        assert scan.after(death(i * 0.1, progress=i, progressed=True)) == Restart(0.0)


def test_the_back_off_doubles_from_one_to_thirty_seconds_with_jitter() -> None:
    scan = policy(Class.RESTARTABLE)
    for i, base_s in enumerate((1, 2, 4, 8, 16, 30, 30, 30)):
        verdict = scan.after(death(i * 100.0))
        assert isinstance(verdict, Restart)
        assert 0.8 * base_s <= verdict.after_s <= base_s


def test_progress_resets_the_back_off() -> None:
    scan = policy(Class.RESTARTABLE)
    for i in range(5):
        scan.after(death(float(i)))
    scan.after(death(6.0, progressed=True))
    verdict = scan.after(death(7.0))
    assert isinstance(verdict, Restart)
    assert verdict.after_s <= 1.0


def test_the_fifth_fruitless_death_within_a_minute_spends_the_budget() -> None:
    verdicts = [policy_of.after(death(at_s)) for policy_of in [policy()] for at_s in range(5)]
    assert all(isinstance(verdict, Restart) for verdict in verdicts[:4])
    assert verdicts[4] == StopEngine(
        1, "scan0 died 5 times within 60 s without progress, last with exit code 1; "
        "the engine stops.",
    )


def test_fruitless_deaths_further_apart_do_not_spend_the_budget() -> None:
    scan = policy()
    for i in range(50):
        assert isinstance(scan.after(death(i * 16.0)), Restart)


def test_an_optional_role_is_disabled_and_a_restartable_one_tried_for_ever() -> None:
    extra, web = policy(Class.OPTIONAL), policy(Class.RESTARTABLE)
    last_extra = [extra.after(death(float(i))) for i in range(5)][-1]
    assert isinstance(last_extra, Disable)
    assert last_extra.sentence.endswith("the engine goes on without it.")
    assert all(isinstance(web.after(death(float(i))), Restart) for i in range(50))


def test_exit_codes_for_bad_configuration_stop_the_engine() -> None:
    for code in (3, 78):
        verdict = policy().after(death(0.0, code=code, progressed=True))
        assert isinstance(verdict, StopEngine)
        assert verdict.exit_code == 3


def test_two_poisonous_deaths_at_one_number_stop_the_engine_at_two_numbers_do_not() -> None:
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE):
        scan = policy()
        assert scan.after(death(0.0, -number, progress=7, progressed=True)) == Restart(0.0)
        assert scan.after(death(1.0, -number, progress=8, progressed=True)) == Restart(0.0)
        verdict = scan.after(death(2.0, -number, progress=8))
        assert isinstance(verdict, StopEngine)
        assert f"twice by {signal.Signals(number).name} at number 8" in verdict.sentence


def test_two_sigkills_at_one_number_are_nobodys_poison() -> None:
    scan = policy()
    scan.after(death(0.0, -signal.SIGKILL, progressed=True))
    assert isinstance(scan.after(death(1.0, -signal.SIGKILL)), Restart)


def watch() -> Watch:
    return Watch(Patience(beat_ms=1000, stall_ms=3000, boot_ms=5000), 100 * MS, progress=4)


def test_a_process_may_take_long_to_its_first_beat_but_not_for_ever() -> None:
    one = watch()
    assert one.complaint(4000 * MS, 0, 4, 0) == ""
    assert one.complaint(5200 * MS, 0, 4, 0) == "no first beat for 5100 ms"


def test_a_beat_of_the_process_before_is_no_first_beat() -> None:
    one = watch()
    assert one.complaint(5200 * MS, 99 * MS, 4, 0).startswith("no first beat")


def test_silence_is_counted_from_the_last_beat() -> None:
    one = watch()
    assert one.complaint(2000 * MS, 1900 * MS, 4, 0) == ""
    assert one.complaint(2901 * MS, 1900 * MS, 4, 0) == "no beat for 1001 ms"


def test_silence_while_the_supervisor_slept_is_forgiven() -> None:
    one = watch()
    one.complaint(2000 * MS, 1900 * MS, 4, 0)
    one.rebase(90_000 * MS)
    assert one.complaint(90_500 * MS, 1900 * MS, 4, 0) == ""
    assert one.complaint(91_100 * MS, 1900 * MS, 4, 0) == "no beat for 1100 ms"


def test_waiting_input_without_progress_is_a_stall_and_idleness_is_not() -> None:
    one = watch()
    for now_ms in range(200, 10_000, 200):
        assert one.complaint(now_ms * MS, now_ms * MS, 4, 0) == ""
    for now_ms in range(10_000, 12_800, 200):
        assert one.complaint(now_ms * MS, now_ms * MS, 4, 9) == ""
    assert one.complaint(12_900 * MS, 12_900 * MS, 4, 9) == "no progress for 3100 ms with 9 waiting"
    assert one.complaint(12_900 * MS, 12_900 * MS, 5, 9) == ""


def test_a_role_without_input_is_still_when_others_wait_for_it() -> None:
    one = watch()
    for now_ms in range(200, 3000, 200):
        assert one.complaint(now_ms * MS, now_ms * MS, 4, 0, ["alerts", "scan0"]) == ""
    assert one.complaint(3300 * MS, 3300 * MS, 4, 0, ["alerts", "scan0"]) == (
        "no progress for 3100 ms with 0 waiting; alerts and scan0 cannot go on before it does"
    )
    assert one.complaint(3400 * MS, 3400 * MS, 4, 0) == "", "nobody waits any more"
    assert one.complaint(3500 * MS, 3500 * MS, 4, 0, ["alerts"]) == "", "it begins anew"


def test_the_cause_is_at_the_end_of_the_chain() -> None:
    waits = {"bars": "scan0", "scan0": "alerts", "alerts": "recorder", "recorder": "", "web": ""}
    assert {cause(key, waits) for key in ("bars", "scan0", "alerts", "recorder")} == {"recorder"}
    assert cause("web", waits) == "web"
    assert held_up(waits) == {"recorder": ["bars", "scan0", "alerts"]}


def test_who_waits_for_a_role_without_a_process_has_its_excuse() -> None:
    assert cause("alerts", {"alerts": "recorder"}) == "recorder"


def test_in_a_circle_everybody_is_the_cause_of_his_own_waiting() -> None:
    waits = {"a": "b", "b": "c", "c": "a", "outside": "b"}
    assert [cause(key, waits) for key in "abc"] == ["a", "b", "c"]
    assert held_up(waits) == {"b": ["outside"]}


ROLES = [f"role{number}" for number in range(6)]


@given(st.dictionaries(st.sampled_from(ROLES), st.sampled_from(["", *ROLES])))
def test_whatever_the_roles_say_somebody_who_waits_has_a_cause_without_an_excuse(
    waits: dict[str, str],
) -> None:
    for key in waits:
        other = cause(key, waits)
        assert cause(other, waits) == other
    blamed = held_up(waits)
    assert all(cause(key, waits) == other for other, keys in blamed.items() for key in keys)
    assert all(other not in keys for other, keys in blamed.items())
