"""How the demo is put under load and how that is reported; no server is started here."""

import io
import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.servers import serve as site

MACHINE = {
    "cores": 2,
    "processor": "a processor",
    "commit": "0" * 40,
    "versions": {"torch": "2.9", "gradio": "6.31.0"},
}


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def png():
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


# What is asked.


def test_headlines_are_all_distinct_and_of_nine_words():
    from serve_load import TOTAL, headline

    found = [headline(number) for number in range(50_000)]
    assert len(set(found)) == 50_000 < TOTAL
    assert {len(text.split()) for text in found} == {9}
    assert headline(7) == headline(7) != headline() != headline()


def test_every_number_gives_a_headline_of_its_own():
    from math import gcd

    import serve_load

    assert gcd(serve_load._STEP, serve_load.TOTAL) == 1
    assert all(len(set(words)) == len(words) for words in serve_load.WORDS)


# What comes back.


def test_a_stream_of_events_gives_the_values_of_its_last_one():
    from serve_load import completed

    assert completed('event: heartbeat\ndata: null\n\nevent: complete\ndata: [{"a": 1}, "b"]\n\n') == [{"a": 1}, "b"]
    for stream in ("", 'event: error\ndata: "no"\n\n', "event: heartbeat\ndata: null\n\n"):
        with pytest.raises(OSError, match="without an answer"):
            completed(stream)


def test_a_picture_is_whole_only_to_its_last_byte(png):
    from serve_load import is_whole

    assert is_whole(png)
    for cut in (png[:-1], png[:-12], png[: len(png) // 2], png[:10], b"", b"not a picture"):
        assert not is_whole(cut)


def test_what_an_address_says_is_told_apart(monkeypatch):
    import serve_load

    with site() as of:
        of.files["/there"] = b"content"
        assert serve_load.fetch(f"{of.url}/there") == b"content"
        with pytest.raises(OSError, match="status 404"):
            serve_load.fetch(f"{of.url}/nowhere")
        of.cut = 1
        with pytest.raises(OSError, match="IncompleteRead"):
            serve_load.fetch(f"{of.url}/there")
    with pytest.raises(OSError, match=r"refused|reset"):
        serve_load.fetch(f"{of.url}/there")


def test_errors_refusals_and_hanging_requests_are_told_apart():
    from serve_load import Refused, sample

    def failing(error):
        def request():
            raise error

        return sample(request)

    refused = failing(Refused("Queue is full. Max size is 64 and size is 64."))
    assert (refused.refused, refused.hung) == (True, False)
    assert failing(RuntimeError("Queue is full! Please try again.")).refused  # as gradio_client says it
    hung = failing(TimeoutError("timed out"))
    assert (hung.refused, hung.hung) == (False, True)
    assert failing(ValueError("x")).error == "ValueError: x"


def test_a_summary_counts_answers_errors_and_whole_pictures(png):
    from serve_load import Sample, summary

    samples = [
        Sample(0.1, png),
        Sample(0.3, png[:-20]),
        Sample(9.0, error="no"),
        Sample(9.0, error="full", refused=True),
    ]
    found = summary(samples)
    assert {name: found[name] for name in ("requests", "answers", "errors", "whole_pictures")} == {
        "requests": 4,
        "answers": 2,
        "errors": 1,
        "whole_pictures": 1,
    }
    assert found["errors_said"] == {"no": 1}
    assert found["ms"]["p50"] == pytest.approx(200)
    assert found["ms"]["maximum"] == pytest.approx(300)
    assert summary(samples[2:])["ms"] is None


# Patterns of load.


def test_a_burst_is_at_one_moment():
    from serve_load import burst

    gate = threading.Barrier(8, timeout=10)

    def request():
        gate.wait()  # passes only if all eight are there
        return b""

    samples = burst([request] * 8)
    assert len(samples) == 8
    assert not any(of.error for of in samples)


def test_a_request_that_is_late_counts_from_when_it_was_due():
    from serve_load import on_schedule

    samples = on_schedule(lambda: time.sleep(0.05) or b"", time.perf_counter(), 0.01, 3)
    seconds = [of.seconds for of in samples]
    assert seconds[0] >= 0.05
    assert seconds[2] >= 3 * 0.05 - 2 * 0.01
    assert seconds == sorted(seconds)


def test_a_counted_loop_makes_every_request_once():
    from serve_load import counted_loop, flat

    made = []
    samples = counted_loop(iter([lambda number=number: made.append(number) or b"" for number in range(100)]), 4)
    assert sorted(made) == list(range(100))
    assert len(flat(samples)) == 100
    assert len(samples) == 4


# The process.


def test_resident_memory_is_read_from_the_status():
    from serve_process import resident

    assert resident("VmPeak:\t  9 kB\nVmRSS:\t   1234 kB\nRssAnon:\t 5 kB\n") == 1234


def test_the_server_gets_nothing_of_gradio_from_the_environment_but_its_place(monkeypatch, tmp_path):
    from serve_process import environment

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_SHARE", "True")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = environment(1234, tmp_path)
    assert {name for name in found if name.startswith("GRADIO_")} == {
        "GRADIO_SERVER_NAME",
        "GRADIO_SERVER_PORT",
        "GRADIO_TEMP_DIR",
    }
    assert found["GRADIO_SERVER_PORT"] == "1234"
    assert found["OMP_NUM_THREADS"] == "1"


# The figures.


def test_saturation_is_the_fewest_workers_that_nearly_reach_the_highest_rate():
    from serve import saturated

    ms = {"p50": 1.0}
    levels = [{"workers": w, "visits_a_second": rate, "ms": ms} for w, rate in ((1, 10.0), (2, 19.5), (4, 20.0))]
    assert saturated(levels) == {"visits_a_second": 20.0, "reached_by_workers": 2, "ms_there": ms}


def test_rounds_whose_pictures_differ_are_found(png):
    from serve import same
    from serve_load import Sample

    other = png[:-20]
    found = same([[Sample(0.1, png)] * 3, [Sample(0.1, png), Sample(0.1, other)]])
    assert (found["cut"], found["rounds_that_differ"], found["answers"]) == (1, 1, 5)


def _ways(requests=20, p95=60.0, **changes):
    ms = {"p50": 40.0, "p95": p95, "p99": 99.0, "maximum": 120.0}
    counts = {"requests": requests, "answers": requests, "errors": 0, "errors_said": {}, "whole_pictures": requests}
    return {**counts, "ms": ms, **changes}


@pytest.fixture
def result():
    def seconds(median):
        return {"median": median, "minimum": median, "maximum": median, "repeats": 3}

    crowd = {"refused": 133, "refusals_said": ["Queue is full."], "refusal_ms": None, "hung": 0}
    starts = ("first_answer_s", "healthy_s", "import_s", "models_s", "page_s")
    same = {"cut": 0, "rounds_that_differ": 0}
    return {
        "quick": False,
        "load_before": 0.1,
        "server_threads": "1",
        "start": {name: seconds(4.24) for name in starts},
        "one": {way: _ways(200) for way in ("picture", "explain", "visit", "page")},
        "users": {
            **{"users": 32, "every_s": 3.0, "seconds": 60.0, "written": {"files": 660, "mb": 66.0}},
            **{"together": _ways(640, 1234.0), "client": _ways(320), "http": _ways(320)},
        },
        "saturation": {
            **{"visits_a_second": 20.04, "reached_by_workers": 2, "ms_there": _ways()["ms"]},
            "levels": [{"workers": workers, **_ways()} for workers in (1, 2)],
            "bursts": {way: {**_ways(200, answers=67), **crowd} for way in ("explain", "picture")},
        },
        "memory": {
            **{"requests": 5_000, "warm_up": 500, "fresh_mb": 500.0, "before_mb": 600.0, "after_mb": 640.4},
            "growth_mb": 40.4,
        },
        "identical": {
            "at_once": 32,
            "rounds": 5,
            **{way: _ways(160) | same for way in ("client", "explain", "picture")},
        },
        "machine": MACHINE,
    }


def test_the_report_says_what_was_reached_and_what_was_missed(result):
    from report_serve import serve

    text = serve(result)
    assert "| from a new process to the first answer with its picture | 4.2 s | at most 5 s | reached |" in text
    assert "95 % answered within | 1,234 ms | at most 1,000 ms | **missed** |" in text
    assert "| errors and cut pictures among these 640 | 0 | 0 | reached |" in text
    assert "| memory gained over 5,000 requests | 40 MB | at most 50 MB | reached |" in text
    assert "15 times | 0 | 0 | reached |" in text
    assert "200 at one moment for `/explain`: 67 are answered, the last after 0.1 s, 133 refused with a message" in text
    assert "leaves a picture of 0.10 MB on the disk" in text
    assert "same cores" in text
    assert "OMP_NUM_THREADS=1" in text
    assert "Other work" not in text
    assert "a load of 7.6 before it began" in serve(result | {"load_before": 7.6})


def test_the_report_counts_a_cut_picture_as_missed(result):
    from report_serve import serve

    result["users"]["together"]["whole_pictures"] -= 1
    result["identical"]["explain"]["cut"] = 2
    text = serve(result)
    assert "among these 640 | 1 | 0 | **missed** |" in text
    assert "15 times | 2 | 0 | **missed** |" in text


def test_the_report_bears_that_nobody_was_answered(result):
    from report_serve import serve

    for way in ("together", "client", "http"):
        result["users"][way] = _ways(640, answers=0, errors=640, whole_pictures=0, ms=None)
    assert "answered within | no answer | at most 1,000 ms | **missed** |" in serve(result)


def test_a_trial_does_not_write_over_the_results(monkeypatch, capsys):
    import serve

    monkeypatch.delenv("TEXTCNN_RESULTS", raising=False)
    monkeypatch.setattr("sys.argv", ["serve.py", "--quick"])
    with pytest.raises(SystemExit):
        serve.arguments()
    assert "TEXTCNN_RESULTS" in capsys.readouterr().err


def test_parts_that_are_not_measured_anew_are_kept(monkeypatch, tmp_path, result):
    import common
    import serve

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    assert serve.kept() == {}
    (tmp_path / "serve.json").write_text(json.dumps(result), encoding="utf-8")
    assert list(serve.kept()) == list(serve.PARTS)
