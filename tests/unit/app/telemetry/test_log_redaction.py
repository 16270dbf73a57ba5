"""A log says neither secrets nor what events hold, wherever they stand and whoever logs them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import psycopg2
import pytest
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from app.telemetry.logs.formatting import LogFormat, formatter, write_by
from app.telemetry.logs.known import secrets_in
from app.telemetry.logs.records import log_safely
from app.telemetry.logs.redaction import Redaction

PASSWORD = "tr0ub4dor/&3 x"
KEY = "sk-proj-0123456789abcdef"

Log = Callable[..., str]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    factory, root = logging.getLogRecordFactory(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.setLogRecordFactory(factory)
    log_safely()
    logging.setLogRecordFactory(factory)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture(params=["console", "json"])
def written(request: pytest.FixtureRequest) -> Callable[[Callable[[logging.Logger], None]], str]:
    """What is written, in each format, when a function logs by this logger."""

    def write(log: Callable[[logging.Logger], None]) -> str:
        return _written(request.param, log)

    return write


def _written(log_format: LogFormat, log: Callable[[logging.Logger], None]) -> str:
    stream, logger = io.StringIO(), logging.getLogger("innervate.test.redaction")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(log_format))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG)
    log(logger)
    return stream.getvalue()


#: What says a secret by its shape, and the secret in it.
SHAPES = [
    ("cannot connect to postgresql://innervate:hunter2@db1/innervate", "hunter2"),
    ("cannot connect to postgresql://innervate:hun:t@er2@db1,db2/innervate", "er2"),
    ("kafka+sasl://svc:hunter2@broker:9092 is away", "hunter2"),
    ("GET https://ghost-token@host.example/x failed", "ghost-token"),
    ("host=db1 user=innervate password=hunter2 dbname=innervate", "hunter2"),
    ("password='it is hunter2' is refused", "hunter2"),
    ('{"sasl_plain_password": "hunter2", "user": "svc"}', "hunter2"),
    ("{'ssl_password': 'hunter2', 'api_version': 'auto'}", "hunter2"),
    ("AIOKafkaProducer(sasl_plain_username='svc', sasl_plain_password='hunter2')", "hunter2"),
    ("headers: {'Authorization': 'Bearer abc.def-123456'}", "abc.def-123456"),
    ("[(b'authorization', b'Basic c3ZjOmh1bnRlcjI=')]", "c3ZjOmh1bnRlcjI="),
    ("Authorization: Basic c3ZjOmh1bnRlcjI=", "c3ZjOmh1bnRlcjI="),
    ("Proxy-Authorization: Digest username=abc123", "abc123"),
    ("sent Bearer dG9rZW4tdmFsdWU", "dG9rZW4tdmFsdWU"),
    ("https://api.example/v1?api_key=hunter2&x=1", "hunter2"),
    ("https://api.example/v1?access_token=hunter2", "hunter2"),
    ("LLM_API_KEY=hunter2", "hunter2"),
    ("client_secret: hunter2", "hunter2"),
    ("Set-Cookie: session=hunter2; Path=/", "hunter2"),
    ("X-Api-Key: hunter2", "hunter2"),
    (f"Incorrect API key provided: {KEY}", KEY),
    ("token ghp_0123456789abcdefghij", "ghp_0123456789abcdefghij"),
    ("key AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzdmMifQ.c2lnbmF0dXJl was refused", "eyJzdWIiOiJzdmMifQ"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----", "MIIEvQIBADANBg"),
    ('sasl.jaas.config=org.apache.ScramLoginModule required username="svc" password="hunter2";', "hunter2"),
    ("OTEL_EXPORTER_OTLP_HEADERS=api-key=hunter2", "hunter2"),
    (r"{\"password\": \"hunter2\"}", "hunter2"),
]


@pytest.mark.parametrize(("text", "secret"), SHAPES)
def test_a_secret_is_hidden_by_its_shape_in_a_message_an_argument_an_error_and_a_field(
    written: Callable[..., str], text: str, secret: str
) -> None:
    log_safely()

    def log(logger: logging.Logger) -> None:
        logger.warning(text.replace("%", "%%"))
        logger.warning("told %s", text)
        logger.warning("told %(what)r", {"what": text})
        logger.error("failed", exc_info=RuntimeError(text))
        logger.warning("with a field", extra={"told": text})
        logger.warning("with more", extra={"told": {"by": [("broker", {"says": text})]}})

    said = written(log)
    assert secret not in said
    assert said.count("[hidden]") >= 6


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "sasl_plain_password",
        "API_KEY",
        "apiKey",
        "token",
        "access-token",
        "Authorization",
        "client_secret",
        "Cookie",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", b"hunter2", ["hunter2"], {"is": "hunter2"}, SecretStr("hunter2")])
def test_a_field_with_a_secret_name_is_hidden_at_any_depth(
    written: Callable[..., str], name: str, value: object
) -> None:
    log_safely()
    said = written(lambda log: log.info("x", extra={name: value, "nested": {"a": [{name: value}, (name, value)]}}))
    assert "hunter2" not in said


def test_the_settings_own_secrets_are_hidden_wherever_and_however_they_are_written(written: Callable[..., str]) -> None:
    log_safely(
        secrets_in(
            {
                "database_url": "postgresql://innervate:tr0ub4dor%2F%263%20x@db1/innervate",
                "llm_api_key": SecretStr("plain words that nobody knows"),
            },
            {"OAUTH_CLIENT_SECRET": "correct-horse", "PROXY": "http://me:battery-staple@proxy:3128"},
        )
    )
    told = [
        PASSWORD,
        "tr0ub4dor%2F%263%20x",
        "tr0ub4dor%2F%263+x",
        "plain words that nobody knows",
        "correct-horse",
        "battery-staple",
    ]

    def log(logger: logging.Logger) -> None:
        for each in told:
            logger.error("it says <%s>", each, exc_info=ValueError(f"<{each}>"), extra={"why": each})

    said = written(log)
    assert [each for each in told if each in said] == []
    assert said.count("<[hidden]>") == 2 * len(told)


def test_a_password_that_is_the_name_of_the_database_too_hides_no_other_word(written: Callable[..., str]) -> None:
    log_safely(secrets_in({"database_url": "postgresql://innervate:innervate@db1/innervate"}, {}))
    said = written(lambda log: log.error("innervate: postgresql://innervate:innervate@db1/innervate is away"))
    assert "innervate: postgresql://innervate:[hidden]@db1/innervate is away" in said


class Card(BaseModel):
    """What a stranger sent."""

    number: int


def refused_card() -> ValidationError:
    sent = ["Ann Smith, 12 High Street"]
    with pytest.raises(ValidationError) as caught:
        Card.model_validate({"number": sent[0]})
    return caught.value


#: What quotes an event, a row or a reply.
PAYLOADS = [
    (
        psycopg2.IntegrityError("null value\nDETAIL:  Failing row contains (7, Ann Smith, 12 High Street).\n"),
        "Ann Smith",
    ),
    (RuntimeError("failed: DETAIL: Key (name)=(Ann Smith) already exists. HINT: look"), "Ann Smith"),
    (psycopg2.DataError("bad\nLINE 1: INSERT INTO t VALUES ('Ann Smith')\n     ^\n"), "Ann Smith"),
    (RuntimeError("x [SQL: INSERT INTO t VALUES (%s)]\n[parameters: ('Ann Smith',)]\n(Background on"), "Ann Smith"),
    (refused_card(), "Ann Smith"),
    (UnicodeDecodeError("utf-8", b"\xffAnn Smith", 0, 1, "invalid start byte"), "Ann Smith"),
    (RuntimeError("cannot read ConsumerRecord(topic='t', value=b'{\"name\": \"Ann Smith\"}')"), "Ann Smith"),
]


@pytest.mark.parametrize(("error", "quoted"), PAYLOADS)
def test_what_an_error_quotes_of_an_event_or_a_row_is_not_shown(
    written: Callable[..., str], error: Exception, quoted: str
) -> None:
    log_safely()

    def log(logger: logging.Logger) -> None:
        logger.warning("it waits: %s", error)
        logger.warning("it waits: %r", error)
        logger.warning("it waits", extra={"why": error})
        logger.error("failed", exc_info=error)

    said = written(log)
    assert quoted not in said
    assert said.count("[not shown]") >= 4 or isinstance(error, UnicodeDecodeError)


@pytest.mark.parametrize("name", ["payload", "value", "body", "prompt", "reply", "data", "headers"])
def test_a_field_that_holds_a_payload_is_not_shown(written: Callable[..., str], name: str) -> None:
    log_safely()
    said = written(lambda log: log.info("x", extra={name: {"name": "Ann Smith"}, "deep": [{name: "Ann Smith"}]}))
    assert "Ann Smith" not in said


def raised(error: Exception) -> Exception:
    try:
        raise error  # noqa: TRY301
    except Exception as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize("about", [{"event_id": "pay-1"}, {"offset": 7}])
def test_the_traceback_of_an_exception_on_an_event_says_where_and_what_and_not_what_it_quotes(
    written: Callable[..., str], about: dict[str, object]
) -> None:
    log_safely()
    error = raised(ValueError("no rule for Ann Smith"))
    error.__cause__ = raised(KeyError("Ann Smith"))
    said = written(lambda log: log.error("agent fraud cannot decide", exc_info=error, extra=about))
    assert "Ann Smith" not in said
    assert "KeyError: [not shown]" in said
    assert "ValueError: [not shown]" in said
    assert "in raised" in said


def test_payloads_are_shown_where_an_operator_wants_them_and_secrets_never(written: Callable[..., str]) -> None:
    log_safely(shows_payloads=True)
    error = raised(ValueError("no rule for Ann Smith, password=hunter2"))
    said = written(lambda log: log.error("failed", exc_info=error, extra={"event_id": "pay-1", "body": "Ann Smith"}))
    assert said.count("Ann Smith") == 2
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "text",
    [
        "no tokens are left for today, of 2000000",
        "prompt_tokens=12 completion_tokens=34",
        "lane 7: payments waits for Kafka: not authorized",
        "[AIOKafkaConsumer] Successfully joined group innervate-router with generation 3",
        "http://127.0.0.1:6066/health/ready answers 503",
        "2 decisions wait for PostgreSQL: no answer within 3 s",
        "the windows of fraud in var/data/v1/tables are rebuilt from the changelog: RocksDB cannot read them",
        "a basic rule: no bearer of bad news",
        "time 2026-11-28T11:00:00Z, customer c-1, 12:34",
        "user@example.com wrote",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert Redaction(["correct-horse"]).text(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a-",
        "password",
        "password=",
        "b'",
        "://",
        "://a:",
        "input_value=",
        "DETAIL: ",
        "eyJaaaaaaaa.",
        "Basic ",
        "[SQL: ",
        "-----BEGIN PRIVATE KEY-----",
        '\\"',
        "UnicodeDecodeError('u', ",
    ],
)
@pytest.mark.timeout(60)  # the square of this length is hours
def test_a_long_text_of_whatever_begins_a_secret_is_read_all_the_same(piece: str) -> None:
    text = (piece * 200_000)[:200_000]
    assert Redaction(["correct-horse"]).text(f"{text} correct-horse").count("correct-horse") == 0


async def test_a_library_that_logs_every_request_gives_no_key_away(written: Callable[..., str]) -> None:
    log_safely()
    answers = httpx.MockTransport(lambda _request: httpx.Response(200))

    async with httpx.AsyncClient(transport=answers, headers={"Authorization": f"Bearer {KEY}"}) as client:
        response = await client.get("http://me:hunter2@model.example/v1?api_key=hunter2")

    def log(logger: logging.Logger) -> None:
        logger.info('HTTP Request: %s %s "%s %d"', response.request.method, response.request.url, "HTTP/1.1", 200)
        logger.debug("send_request_headers.started request=%r", response.request.headers.raw)
        logger.debug("headers %r", dict(response.request.headers))

    said = written(log)
    assert "hunter2" not in said
    assert KEY not in said


def test_a_line_for_people_has_the_fields_behind_the_event() -> None:
    log_safely()
    said = _written(
        "console", lambda log: log.warning("it waits", extra={"agent": "fraud", "offset": 7, "why": "a\nb"})
    )
    _, _, told = said.partition(" [WARNING] ")
    assert told == "it waits agent=fraud offset=7 why=a\\nb\n"


def test_a_line_for_programs_is_one_json_object_in_ascii_with_the_fields_as_they_are() -> None:
    log_safely()
    before = datetime.now(UTC)
    said = _written(
        "json",
        lambda log: log.error(
            "it waits",
            exc_info=raised(ValueError("a\u2028b")),
            extra={"agent": "fraud", "level": 9, "why": "a\nb\u202e", "at_most": float("inf")},
        ),
    )
    assert said.isascii()
    assert said.count("\n") == 1
    document = json.loads(said)
    assert datetime.fromisoformat(document.pop("at")) >= before
    assert document.pop("exception").splitlines()[-1] == r"ValueError: a\u2028b"
    assert document.pop("process") > 0
    assert document == {
        "level": "error",
        "logger": "innervate.test.redaction",
        "event": "it waits",
        "agent": "fraud",
        "why": "a\nb\u202e",
        "at_most": "inf",
    }


def test_an_event_of_structlog_goes_the_same_way() -> None:
    log_safely()
    stream, root = io.StringIO(), logging.getLogger()
    root.handlers = [logging.StreamHandler(stream)]
    root.setLevel(logging.INFO)
    write_by("json")
    log = structlog.get_logger("a.domain.of.ones.own")
    log.info("parcel packed", order="o-1", api_key="hunter2", body={"name": "Ann Smith"})
    log.debug("not told")
    [line] = stream.getvalue().splitlines()
    document = json.loads(line)
    assert (document["event"], document["logger"], document["level"]) == (
        "parcel packed",
        "a.domain.of.ones.own",
        "info",
    )
    assert (document["order"], document["api_key"], document["body"]) == ("o-1", "[hidden]", "[not shown]")


def test_a_field_that_cannot_be_written_loses_no_record() -> None:
    log_safely()

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("hunter2")

    said = _written("json", lambda log: log.info("x", extra={"one": Broken(), "two": {"three": Broken()}}))
    assert json.loads(said)["one"] == "a Broken that cannot be written: RuntimeError"
