"""A running server, as OpenAI's own client and as plain bytes see it. Expected texts are those of `Llm`, asked here."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from engine.llm import Llm
from engine.sampling import Sampling
from support import tiny_qwen2
from support.q4k import q4k, write_endless
from support.served import Server, serving

HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return tiny_qwen2.write_tiny(folder / "tiny.gguf")


@pytest.fixture(scope="module")
def endless(folder: Path) -> Path:
    """Answers until the limit, which is so high that a test would not see the end."""
    return write_endless(folder / "endless.gguf")


@pytest.fixture(scope="module")
def llm(tiny: Path) -> Iterator[Llm]:
    with Llm.load(tiny, backend="reference") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Server]:
    with serving(tiny) as running:
        yield running


@pytest.fixture(scope="module")
def slow(endless: Path) -> Iterator[Server]:
    """One request may wait."""
    with serving(endless, "--max-queue", "1", "--max-tokens", "25000") as running:
        yield running


def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def endless_chat(**fields: Any) -> dict[str, Any]:
    return {"model": "endless", "messages": HI, "temperature": 0, **fields}


def test_chat_is_what_the_model_says(server: Server, llm: Llm):
    expected = llm.generate(HI, max_tokens=12)
    got = server.client().chat.completions.create(model="tiny", messages=HI, max_tokens=12, temperature=0)
    choice = got.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", expected.text)
    assert choice.finish_reason == ("stop" if expected.stop_reason == "eos" else "length")
    assert got.usage is not None
    assert got.usage.prompt_tokens == len(expected.prompt_ids)
    assert got.usage.completion_tokens == len(expected.token_ids)
    assert got.usage.total_tokens == len(expected.prompt_ids) + len(expected.token_ids)
    assert (got.object, got.model, got.id[:9]) == ("chat.completion", "tiny", "chatcmpl-")


def test_chat_streams_the_same_text(server: Server, llm: Llm):
    expected = llm.generate(HI, max_tokens=12)
    chunks = list(
        server.client().chat.completions.create(
            model="tiny",
            messages=HI,
            max_completion_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == expected.text
    assert len([text for text in texts if text]) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(expected.token_ids)
    assert len({chunk.id for chunk in chunks}) == 1


def test_completion_continues_the_text_as_it_is(server: Server, llm: Llm):
    expected = llm.generate("def f", raw=True, max_tokens=9)
    create = server.client().completions.create
    got = create(model="tiny", prompt="def f", max_tokens=9, temperature=0)
    assert (got.object, got.choices[0].text) == ("text_completion", expected.text)
    assert got.usage is not None
    assert got.usage.prompt_tokens == len(expected.prompt_ids)
    pieces = create(model="tiny", prompt="def f", max_tokens=9, temperature=0, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == expected.text


def test_sampling_is_that_of_the_engine(server: Server, llm: Llm):
    sampling = Sampling(temperature=1.5, top_k=20, top_p=0.9, min_p=0.01, seed=11)
    expected = llm.generate(HI, max_tokens=15, sampling=sampling)
    for _ in range(2):
        got = server.client().chat.completions.create(
            model="tiny",
            messages=HI,
            max_tokens=15,
            temperature=1.5,
            top_p=0.9,
            seed=11,
            extra_body={"top_k": 20, "min_p": 0.01},
        )
        assert got.choices[0].message.content == expected.text


def test_stop_string_over_several_tokens_ends_whole_and_streamed_answers(server: Server, llm: Llm):
    """The stop string is taken from the middle of the greedy answer, over the border between two of its pieces."""
    pieces: list[str] = []
    expected = llm.generate(HI, max_tokens=20, on_text=pieces.append)
    first = next(n for n in range(2, len(pieces)) if len(pieces[n - 1]) + len(pieces[n]) > 2)
    stop = pieces[first - 1][-1:] + pieces[first][:1]
    before = expected.text[: expected.text.index(stop)]
    create = server.client().chat.completions.create
    got = create(model="tiny", messages=HI, max_tokens=20, temperature=0, stop=[stop])
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == (before, "stop")
    assert got.usage is not None
    assert 1 < got.usage.completion_tokens <= len(expected.token_ids)
    seen = create(model="tiny", messages=HI, max_tokens=20, temperature=0, stop=stop, stream=True)
    chunks = list(seen)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == before
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_tokens_before_a_stop_string_are_counted(server: Server, llm: Llm):
    """Counted apart: the shortest answer that holds the stop string."""
    pieces: list[str] = []
    full = llm.generate(HI, max_tokens=20, on_text=pieces.append)
    stop = pieces[4]
    count = next(n for n in range(1, 21) if stop in llm.generate(HI, max_tokens=n).text)
    got = server.client().chat.completions.create(model="tiny", messages=HI, max_tokens=20, temperature=0, stop=stop)
    assert got.usage is not None
    assert got.usage.completion_tokens == count < len(full.token_ids)


def test_models_and_health(server: Server):
    client = server.client()
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "local"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    assert server.health() == {"status": "ok", "model": "tiny", "running": False, "waiting": 0}


def test_errors_are_those_of_the_client(server: Server):
    create = server.client().chat.completions.create
    with pytest.raises(openai.NotFoundError) as missing:
        create(model="gpt", messages=HI)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as many:
        create(model="tiny", messages=HI, n=2)
    assert (many.value.param, many.value.code) == ("n", "unsupported")
    with pytest.raises(openai.BadRequestError) as long:
        create(model="tiny", messages=[{"role": "user", "content": "hi " * 4000}])
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as streamed:
        create(model="tiny", messages=[{"role": "user", "content": "hi " * 4000}], stream=True)
    assert streamed.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("POST", "/v1/chat/completions", b"{", {}, 400, None),
        ("POST", "/v1/completions", b"\x00", {}, 400, None),
        ("POST", "/v1/completions", b"x" * ((4 << 20) + 1), {}, 413, "body_too_large"),
        ("POST", "/v1/completions", b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        ("POST", "/v1/completions", b"{}", {"content-type": "application/json; charset=utf-8"}, 400, "invalid_value"),
        ("GET", "/v1/models", None, {"host": "evil.example"}, 403, "wrong_host"),
        ("GET", "/v1/nothing", None, {}, 404, "not_found"),
        ("GET", "/v1/completions", None, {}, 405, "not_found"),
    ],
    ids=["not json", "null byte", "too long", "not said to be json", "with charset", "host", "path", "method"],
)
def test_refusals_have_the_shape_of_the_api(
    server: Server, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, code: str | None
):
    got, _, answer = server.request(method, path, body, headers)
    assert got == status
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["code"] == code
    assert answer["error"]["type"] == "invalid_request_error"


def test_no_web_page_is_invited(server: Server):
    for method in ("GET", "OPTIONS"):
        _, headers, _ = server.request(method, "/v1/models", None, {"origin": "http://evil.example"})
        assert not [name for name in headers if name.startswith("access-control-")]


def test_clients_at_once_get_what_they_would_get_alone(tiny: Path, llm: Llm):
    prompts = [f"what is {number}" for number in range(8)]
    expected = [llm.generate(prompt, raw=True, max_tokens=10).text for prompt in prompts]
    got: dict[int, str] = {}
    with serving(tiny, "--max-queue", "8") as server:

        def ask(place: int) -> None:
            create = server.client().completions.create
            if place % 2:
                text = create(model="tiny", prompt=prompts[place], max_tokens=10, temperature=0).choices[0].text
            else:
                parts = create(model="tiny", prompt=prompts[place], max_tokens=10, temperature=0, stream=True)
                text = "".join(part.choices[0].text for part in parts)
            got[place] = text

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(prompts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [got[place] for place in range(len(prompts))] == expected


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_answer_ends_when_its_client_leaves(slow: Server, stream: bool):
    sock = slow.begin(endless_chat(stream=stream))
    until(lambda: slow.health()["running"])
    if stream:
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
    sock.close()
    until(lambda: not slow.health()["running"])
    status, body = slow.post("/v1/chat/completions", endless_chat(max_tokens=3))
    assert (status, body["usage"]["completion_tokens"]) == (200, 3)


def test_full_queue_is_503_and_a_waiting_client_may_leave(slow: Server):
    running = slow.begin(endless_chat(stream=True))
    until(lambda: slow.health()["running"])
    waiting = slow.begin(endless_chat(stream=True))
    until(lambda: slow.health()["waiting"] == 1)
    status, headers, body = slow.request("POST", "/v1/chat/completions", json.dumps(endless_chat()).encode())
    assert (status, headers["retry-after"]) == (503, "1")
    assert body["error"]["code"] == "queue_full"
    assert body["error"]["message"] == "the model is busy and 1 requests wait already; try again later"
    with pytest.raises(openai.InternalServerError) as caught:
        slow.client().chat.completions.create(**endless_chat())
    assert caught.value.status_code == 503
    waiting.close()
    until(lambda: slow.health()["waiting"] == 0)
    running.close()
    until(lambda: not slow.health()["running"])


def test_interrupt_ends_the_server_and_tells_who_listens(endless: Path):
    with serving(endless, "--max-tokens", "25000") as server:
        stream = server.client().chat.completions.create(**endless_chat(), stream=True)
        next(iter(stream))
        code, err = server.interrupt()
        with pytest.raises(openai.APIError, match="the server is shutting down"):
            for _ in stream:
                pass
    assert (code, err) == (130, "q4k: interrupted\n")


def test_sigterm_ends_the_server_by_that_signal(tiny: Path):
    with serving(tiny) as server:
        assert server.interrupt(signal.SIGTERM) == (-signal.SIGTERM, "")


def test_changed_model_file_is_an_error_of_the_server(folder: Path):
    path = tiny_qwen2.write_tiny(folder / "changing.gguf")
    with serving(path) as server:
        ask = {"model": "changing", "prompt": "hi", "max_tokens": 2}
        assert server.post("/v1/completions", ask)[0] == 200
        path.touch()
        status, body = server.post("/v1/completions", ask)
        code, err = server.interrupt()
    assert (status, body["error"]["type"], body["error"]["code"]) == (500, "server_error", "model_error")
    assert "GGUF-M15" in body["error"]["message"]
    assert "GGUF-M15" in err
    assert code == 130


def test_address_in_use_is_one_line(server: Server, tiny: Path):
    port = server.address[1]
    ended = q4k("serve", tiny, "--backend", "reference", "--port", str(port))
    assert ended.stderr.splitlines()[-1] == (
        f"q4k: --host 127.0.0.1 --port {port}: cannot listen: Address already in use"
    )
    assert (ended.stdout, ended.code) == ("", 2)
