"""Which data each event type accepts, and what a refusal says."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError
from shop_catalogue import EVENT_TYPES, parse_data

from agents.platform.events import INCONCLUSIVE, RuledOut
from agents.platform.events.findings import CauseEvent
from agents.shop.events import DomainEvent, FraudScored, OrderItem, OrderPlaced, PaymentSucceeded, RootCauseIdentified
from tables.event import Event, InvalidEvent

PAYMENT: dict[str, Any] = {
    "payment_id": "p-1",
    "order_id": "o-1",
    "customer_id": "c-1",
    "amount_minor": 1999,
    "currency": "EUR",
    "method": "card",
    "country": "DE",
    "device_id": "d-1",
}
REFUND: dict[str, Any] = {
    "refund_id": "r-1",
    "payment_id": "p-1",
    "order_id": "o-1",
    "customer_id": "c-1",
    "amount_minor": 1999,
    "currency": "EUR",
    "reason": "cancelled",
}
SPAN: dict[str, Any] = {"from_at": "2026-11-27T10:00:00Z", "to_at": "2026-11-27T10:05:00Z"}
SCORE: dict[str, Any] = {
    "payment_id": "p-1",
    "order_id": "o-1",
    "customer_id": "c-1",
    "score": 80,
    "verdict": "review",
    "reasons": ["new country"],
}
CAUSE: dict[str, Any] = {
    "error_event_id": "e-9",
    "culprit_event_id": None,
    "failure": "price mismatch",
    "confidence": 0.75,
    "evidence": ["e-3", "e-9"],
    "alternatives": ["e-4"],
}
STOCK: dict[str, Any] = {"order_id": "o-1", "sku": "s-1", "wanted": 2, "available": 0}

#: Every type with the least it accepts, then the fields it may have besides.
TYPES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "PaymentAuthorized": ("payments", PAYMENT, {}),
    "PaymentSucceeded": ("payments", PAYMENT, {}),
    "PaymentFailed": ("payments", {**PAYMENT, "reason": "card expired"}, {}),
    "ChargebackReceived": ("payments", PAYMENT, {}),
    "RefundIssued": ("payments", REFUND, {}),
    "FraudScored": ("payments", SCORE, {}),
    "OrderPlaced": (
        "orders",
        {
            "order_id": "o-1",
            "customer_id": "c-1",
            "items": [{"sku": "s-1", "quantity": 2, "price_minor": 500}],
            "total_minor": 1000,
            "currency": "EUR",
        },
        {},
    ),
    "OrderCancelled": ("orders", {"order_id": "o-1", "reason": "changed my mind"}, {}),
    "PriceChanged": ("orders", {"order_id": "o-1", "sku": "s-1", "old_minor": 500, "new_minor": 0}, {}),
    "AddressChanged": (
        "orders",
        {"order_id": "o-1", "customer_id": "c-1", "address": "1 Main Street", "valid": False},
        {},
    ),
    "InventoryReserved": ("orders", STOCK, {}),
    "InventoryShort": ("orders", STOCK, {}),
    "FulfilmentRequested": ("shipping", {"order_id": "o-1"}, {"customer_id": "c-1", "payment_id": "p-1"}),
    "FulfilmentCancelled": ("shipping", {"order_id": "o-1", "reason": "fraud"}, {}),
    "ShipmentBooked": ("shipping", {"order_id": "o-1", "carrier": "post"}, {"tracking_id": "t-1"}),
    "ShipmentDispatched": ("shipping", {"order_id": "o-1", "carrier": "post"}, {"tracking_id": "t-1"}),
    "LabelFailed": (
        "shipping",
        {"order_id": "o-1", "carrier": "post", "transient": True, "message": "timeout"},
        {},
    ),
    "ShipmentRetryRequested": ("shipping", {"order_id": "o-1", "reason": "carrier is back"}, {}),
    "ReviewPosted": ("support", {"customer_id": "c-1", "stars": 5, "text": ""}, {"order_id": "o-1"}),
    "SupportMessageReceived": (
        "support",
        {"customer_id": "c-1", "text": "where is it?"},
        {"order_id": "o-1"},
    ),
    "ConfirmationRequested": (
        "support",
        {"order_id": "o-1", "customer_id": "c-1", "tone": "warm", "message": "on its way"},
        {},
    ),
    "CustomerNotified": ("support", {"order_id": "o-1", "customer_id": "c-1", "message": "on its way"}, {}),
    "ErrorOccurred": (
        "platform",
        {"service": "pricing", "step": "total", "error": "KeyError", "message": "sku"},
        {"order_id": "o-1"},
    ),
    "ServiceDeployed": ("platform", {"service": "pricing", "version": "1.4.2"}, {}),
    "ConfigChanged": (
        "platform",
        {"service": "pricing", "key": "rounding", "old": None, "new": [1, "x"]},
        {},
    ),
    "RootCauseIdentified": ("recovery", CAUSE, {"order_id": "o-1", "service": "pricing"}),
    "RootCauseSuspected": ("recovery", CAUSE, {"order_id": "o-1", "service": "pricing"}),
    "EscalationRequested": (
        "recovery",
        {"failure": "price mismatch", "reason": "no culprit", "evidence": []},
        {"order_id": "o-1", "service": "pricing", "incident_id": "e-1"},
    ),
    "ExpectationMissed": (
        "recovery",
        {
            "agent": "fulfilment",
            "expectation": "shipped",
            "entity": "order",
            "entity_id": "o-1",
            "begun_by": "e-1",
            "awaited": ["FulfilmentRequested"],
        },
        {"order_id": "o-1", "service": "shop"},
    ),
    "EscalationCorrected": (
        "recovery",
        {"service": "api", "failure": "service_degraded", "reason": "not web", "evidence": [], "incident_id": "e-1"},
        {},
    ),
    "DependencyDeclared": ("platform", {"service": "web", "calls": ["api"]}, {"kind": "container"}),
    "DependencyObserved": ("platform", {"service": "web", "calls": "api"}, {}),
    "DependentDeclared": (
        "platform",
        {"service": "api", "dependent": "web", "holds": True, "declared_at": "2026-11-27T10:00:00Z"},
        {},
    ),
    "MetricBreached": (
        "platform",
        {"service": "api", "metric": "latency", "value": 1.5, "normal": 0.5, "requests": 100} | SPAN,
        {},
    ),
    "MetricRecovered": ("platform", {"service": "api", "metric": "latency"}, {}),
    "CauseSuggested": (
        "platform",
        {"service": "web", "suggested_by": "api", "metric": "latency", "candidates": []} | SPAN,
        {"loss": 100.0},
    ),
    "CauseSought": (
        "platform",
        {"service": "unknown-caller", "sought_by": "web", "error_at": "2026-11-27T10:00:00Z"},
        {},
    ),
    "CauseTraced": (
        "platform",
        {
            "service": "web",
            "error_event_id": "e-1",
            "culprit_service": "api",
            "culprit_event_id": "d-1",
            "failure": "bad_deployment",
        },
        {},
    ),
    "IncidentReported": (
        "platform",
        {
            "service": "api",
            "reported_by": "web",
            "error_event_id": "e-1",
            "error_at": "2026-11-27T10:00:00Z",
            "failure": "service_degraded",
            "culprit_event_id": "b-1",
            "loss": 100.0,
        },
        {"incident_id": "e-0"},
    ),
    "IncidentMoved": (
        "platform",
        {
            "service": "api",
            "reported_by": "web",
            "error_event_id": "e-1",
            "error_at": "2026-11-27T10:00:00Z",
            "failure": "service_degraded",
            "culprit_event_id": "b-1",
            "loss": 100.0,
            "moved_to": "store",
        },
        {},
    ),
    "EscalationDue": ("platform", {"service": "api", "rounds": 1}, {}),
    "IncidentResolved": (
        "platform",
        {"service": "api", "failure": "service_degraded", "culprit_event_id": "b-1", "reports": 2} | SPAN,
        {"stopped_by": "d-2", "moved_to": "store", "incident_id": "e-1"},
    ),
    "LedgerEntryPosted": (
        "ledger",
        {
            "entry_id": "l-1",
            "order_id": "o-1",
            "debit": "refunds",
            "credit": "cash",
            "amount_minor": 1999,
            "currency": "EUR",
        },
        {"refund_id": "r-1"},
    ),
}
REQUIRED = [(name, field) for name, (_, least, _) in TYPES.items() for field in least]
OPTIONAL = [(name, field) for name, (_, _, more) in TYPES.items() for field in more]


def event(name: str, data: dict[str, Any]) -> Event:
    return Event(id="e-1", source="/shop", type=name, time=datetime(2024, 5, 1, tzinfo=UTC), data=data)


def accepted(name: str, data: dict[str, Any]) -> DomainEvent:
    parsed = parse_data(event(name, data))
    assert parsed is not None
    return parsed


def refusal(name: str, data: dict[str, Any]) -> str:
    with pytest.raises(InvalidEvent) as caught:
        parse_data(event(name, data))
    assert caught.value.reason == "invalid_data"
    return str(caught.value)


def test_the_registry_holds_every_type_by_the_name_of_its_class() -> None:
    assert set(EVENT_TYPES) == set(TYPES)
    assert {name: model.__name__ for name, model in EVENT_TYPES.items()} == {name: name for name in TYPES}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_belongs_to_a_topic_and_reads_and_writes_its_fields(name: str) -> None:
    topic, least, more = TYPES[name]
    assert EVENT_TYPES[name].topic == topic
    for data in (least, {**least, **more}):
        model = accepted(name, data)
        assert type(model) is EVENT_TYPES[name]
        assert {name: value for name, value in model.written().items() if name in data} == data


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_no_required_field_may_be_missing(name: str, field: str) -> None:
    data = {key: content for key, content in TYPES[name][1].items() if key != field}
    assert refusal(name, data) == f"{name} data.{field}: field required"


@pytest.mark.parametrize(("name", "field"), OPTIONAL)
def test_an_optional_field_may_be_null(name: str, field: str) -> None:
    assert getattr(accepted(name, {**TYPES[name][1], field: None}), field) is None


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, field in REQUIRED + OPTIONAL if field not in {"old", "new"}]
)
def test_a_field_of_the_wrong_type_is_refused(name: str, field: str) -> None:
    assert refusal(name, {**TYPES[name][1], field: {}}).startswith(f"{name} data.{field}")


def test_an_unknown_type_has_no_model() -> None:
    assert parse_data(event("SomethingElse", {"amount_minor": "x"})) is None
    assert parse_data(event("PaymentEvent", {})) is None


def test_a_field_nobody_knows_is_ignored() -> None:
    assert accepted("PaymentSucceeded", {**PAYMENT, "loyalty": {"points": 3}}) == PaymentSucceeded(**PAYMENT)


@pytest.mark.parametrize("amount", [0, 1, 2**53 - 1])
def test_money_is_an_integer_of_minor_units_from_nothing_up(amount: int) -> None:
    model = accepted("PaymentSucceeded", {**PAYMENT, "amount_minor": amount})
    assert isinstance(model, PaymentSucceeded)
    assert model.amount_minor == amount


@pytest.mark.parametrize("amount", [True, 1.0, "1", None, [1]])
def test_what_only_looks_like_an_integer_is_no_money(amount: object) -> None:
    message = refusal("PaymentSucceeded", {**PAYMENT, "amount_minor": amount})
    assert message == "PaymentSucceeded data.amount_minor: input should be a valid integer"


@pytest.mark.parametrize("amount", [-1, 2**53])
def test_money_is_neither_negative_nor_beyond_what_json_readers_keep(amount: int) -> None:
    assert "data.amount_minor" in refusal("PaymentSucceeded", {**PAYMENT, "amount_minor": amount})


@pytest.mark.parametrize(
    ("name", "field", "wrong"),
    [
        ("PaymentSucceeded", "currency", "eur"),
        ("PaymentSucceeded", "currency", "EURO"),
        ("PaymentSucceeded", "currency", "EUR\n"),
        ("PaymentSucceeded", "country", "DEU"),
        ("PaymentSucceeded", "country", "ÄÖ"),
        ("PaymentSucceeded", "payment_id", ""),
        ("PaymentSucceeded", "payment_id", "x" * 257),
        ("FraudScored", "score", -1),
        ("FraudScored", "score", 101),
        ("FraudScored", "score", 50.0),
        ("FraudScored", "verdict", "Approve"),
        ("FraudScored", "reasons", "new country"),
        ("ReviewPosted", "stars", 0),
        ("ReviewPosted", "stars", 6),
        ("RootCauseIdentified", "confidence", 1.01),
        ("RootCauseIdentified", "confidence", -0.01),
        ("RootCauseIdentified", "confidence", True),
        ("InventoryShort", "wanted", 0),
        ("InventoryShort", "available", -1),
        ("AddressChanged", "valid", 1),
        ("ReviewPosted", "order_id", ""),
    ],
)
def test_a_value_out_of_its_range_is_refused(name: str, field: str, wrong: object) -> None:
    assert refusal(name, {**TYPES[name][1], field: wrong}).startswith(f"{name} data.{field}: ")


@pytest.mark.parametrize(("given", "expected"), [(0, 0.0), (1, 1.0), (0.5, 0.5)])
def test_a_confidence_may_be_written_as_an_integer(given: float, expected: float) -> None:
    cause = accepted("RootCauseIdentified", {**CAUSE, "confidence": given})
    assert isinstance(cause, RootCauseIdentified)
    assert cause.confidence == expected


@pytest.mark.parametrize("name", ["RootCauseIdentified", "RootCauseSuspected"])
def test_a_finding_from_before_these_fields_misses_and_rules_out_nothing(name: str) -> None:
    cause = accepted(name, CAUSE)
    assert isinstance(cause, CauseEvent)
    assert (cause.missing, cause.ruled_out) == ((), ())


def test_a_finding_says_what_is_missing_and_what_was_ruled_out() -> None:
    more = {"missing": ["the order is not known"], "ruled_out": [{"event_id": "e-1", "why": "reserved in full later"}]}
    cause = accepted("RootCauseIdentified", {**CAUSE, "failure": INCONCLUSIVE, **more})
    assert isinstance(cause, RootCauseIdentified)
    assert cause.ruled_out == (RuledOut(event_id="e-1", why="reserved in full later"),)
    assert {name: value for name, value in cause.written().items() if name in more} == more
    assert refusal("RootCauseIdentified", {**CAUSE, "ruled_out": [{"event_id": "e-1"}]}) == (
        "RootCauseIdentified data.ruled_out.0.why: field required"
    )


def test_lists_become_tuples_and_their_members_stay_strict() -> None:
    order = accepted("OrderPlaced", TYPES["OrderPlaced"][1])
    assert isinstance(order, OrderPlaced)
    assert order.items == (OrderItem(sku="s-1", quantity=2, price_minor=500),)
    wrong = {**TYPES["OrderPlaced"][1], "items": [{"sku": "s-1", "quantity": True, "price_minor": 500}]}
    assert refusal("OrderPlaced", wrong) == "OrderPlaced data.items.0.quantity: input should be a valid integer"
    assert refusal("FraudScored", {**SCORE, "reasons": [1]}) == (
        "FraudScored data.reasons.0: input should be a valid string"
    )


def test_the_kafka_key_is_the_order_else_the_customer_else_the_service_else_nothing() -> None:
    assert accepted("PaymentSucceeded", PAYMENT).kafka_key == "o-1"
    assert accepted("SupportMessageReceived", {"customer_id": "c-1", "text": ""}).kafka_key == "c-1"
    assert accepted("ConfigChanged", TYPES["ConfigChanged"][1]).kafka_key == "pricing"
    assert accepted("EscalationRequested", TYPES["EscalationRequested"][1]).kafka_key == ""


def test_a_model_is_immutable() -> None:
    payment = PaymentSucceeded(**PAYMENT)
    with pytest.raises(ValidationError):
        payment.amount_minor = 1  # type: ignore[misc]


def test_every_problem_is_named() -> None:
    message = refusal("PaymentSucceeded", {**PAYMENT, "amount_minor": "1", "currency": 3})
    assert message == (
        "PaymentSucceeded data.amount_minor: input should be a valid integer; "
        "data.currency: input should be a valid string"
    )


def test_a_refusal_is_at_most_500_characters() -> None:
    items = [{"sku": 1} for _ in range(1000)]
    assert len(refusal("OrderPlaced", {**TYPES["OrderPlaced"][1], "items": items})) == 500


@pytest.mark.parametrize("field", PAYMENT)
@pytest.mark.parametrize("secret", ["Jane Doe 4929" * 30, ["Jane Doe 4929"], {"Jane Doe 4929": 1}])
def test_a_refusal_never_repeats_the_data(field: str, secret: object) -> None:
    with pytest.raises(InvalidEvent) as caught:
        parse_data(event("PaymentSucceeded", {**PAYMENT, field: secret, "amount_minor": "4929"}))
    assert "4929" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_an_agent_emits_is_data_an_event_can_hold() -> None:
    score = FraudScored(
        payment_id="p-1",
        order_id="o-1",
        customer_id="c-1",
        score=80,
        verdict="review",
        reasons=("new country",),
    )
    data = score.model_dump(mode="json")
    assert orjson.loads(orjson.dumps(data)) == SCORE
    assert accepted("FraudScored", data) == score
