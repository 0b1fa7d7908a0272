"""Sharing a network's requests between threads, on a real OpenVINO network."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from orderacc.models.runtime import import_openvino
from orderacc.perception.request_pool import RequestPool

SIDE = 8


@pytest.fixture(scope="module")
def network():
    """Answers a picture's mean."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    picture = ops.parameter([1, SIDE, SIDE, 3], np.uint8)
    mean = ops.reduce_mean(ops.convert(picture, "f32"), ops.constant(np.array([1, 2, 3])), keep_dims=False)
    return openvino.Core().compile_model(openvino.Model([mean], [picture], "mean"), "CPU", {"NUM_STREAMS": 1})


def picture(value):
    return np.full((1, SIDE, SIDE, 3), value, np.uint8)


def float_of(mean):
    return float(mean[0])


def until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_every_thread_gets_the_answer_to_its_own_picture(network):
    pool = RequestPool(network, 2)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda value: pool.infer(picture(value % 256), float_of), range(600)))
    assert answers == [value % 256 for value in range(600)]
    assert (pool.statistics().inferences, pool.statistics().waiting) == (600, 0)


def test_the_answer_is_left_alone_until_it_has_been_read(network):
    pool = RequestPool(network, 1)
    reading, go_on = threading.Semaphore(0), threading.Event()

    def read_late(mean):
        reading.release()
        assert go_on.wait(30)
        return float(mean[0])

    with ThreadPoolExecutor(3) as threads:
        held = [threads.submit(pool.infer, picture(value), read_late) for value in (10, 20)]
        assert reading.acquire(timeout=30)
        assert reading.acquire(timeout=30)
        third = threads.submit(pool.infer, picture(30), float_of)
        until(lambda: pool.statistics().waiting == 1)
        go_on.set()
        assert [one.result() for one in held] == [10, 20]
        assert third.result() == 30


def test_threads_are_served_in_the_order_they_came(network):
    pool = RequestPool(network, 1)
    served, first, second = [], threading.Event(), threading.Event()
    with ThreadPoolExecutor(8) as threads:
        holders = [threads.submit(pool.infer, picture(0), lambda _, end=end: end.wait(30)) for end in (first, second)]
        until(lambda: pool.statistics().inferences == 2)
        later = []
        for place in range(6):
            later.append(threads.submit(pool.infer, picture(place), lambda mean: served.append(float(mean[0]))))
            until(lambda place=place: pool.statistics().waiting == place + 1)
        # One request goes round among those who wait; the other is held to the end.
        first.set()
        until(lambda: len(served) == 6)
        second.set()
        assert all(one.result() is not False for one in [*holders, *later])
    assert served == list(range(6))


@pytest.mark.parametrize("fault", ["network", "reader"])
def test_a_failure_costs_no_request(network, fault):
    pool = RequestPool(network, 1)

    def refuse(_):
        raise ValueError("unreadable")

    wrong = np.zeros((1, SIDE + 1, SIDE, 3), np.uint8) if fault == "network" else picture(1)
    for _ in range(5):
        with pytest.raises((RuntimeError, ValueError)):
            pool.infer(wrong, refuse)
    assert pool.infer(picture(7), float_of) == 7
    assert pool.statistics().waiting == 0


def test_busy_time_is_at_most_what_the_streams_could_have_worked(network):
    began = time.monotonic()
    pool = RequestPool(network, 2)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda value: pool.infer(picture(value), lambda mean: mean[0]), range(200)))
    seen = pool.statistics()
    assert 0 < seen.busy_s <= 2 * (time.monotonic() - began)
    assert pool.statistics().busy_s == seen.busy_s
