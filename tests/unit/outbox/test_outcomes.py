"""What an error of Kafka says about a message: only what is about the message itself refuses it."""

from __future__ import annotations

import pytest
from aiokafka import errors

from outbox.outcomes import OPERATORS, REFUSALS, InvalidRecordError, NotPublished, Refused, Unwritable, outcome_of


@pytest.mark.parametrize(
    "error",
    [
        errors.MessageSizeTooLargeError(),
        errors.RecordListTooLargeError(),
        errors.InvalidTopicError("no such name"),
        InvalidRecordError(),
    ],
)
def test_what_is_about_the_message_itself_refuses_it(error: Exception) -> None:
    assert type(outcome_of(error)) is Refused


@pytest.mark.parametrize(
    "error",
    [
        errors.TopicAuthorizationFailedError("payments"),
        errors.ClusterAuthorizationFailedError(),
        errors.GroupAuthorizationFailedError("innervate"),
        errors.TransactionalIdAuthorizationFailed("innervate"),
        errors.SaslAuthenticationFailed(),
        errors.AuthenticationFailedError(),
        errors.UnknownTopicOrPartitionError(),
        errors.NotEnoughReplicasError(),
        errors.KafkaStorageError(),
        errors.InvalidConfigurationError(),
        errors.PolicyViolationError(),
        errors.InvalidTimestampError(),
        errors.UnsupportedForMessageFormatError(),
    ],
)
def test_what_is_about_rights_the_topic_or_its_settings_is_waited_for(error: Exception) -> None:
    assert type(outcome_of(error)) is Unwritable


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        errors.KafkaConnectionError(),
        errors.NotLeaderForPartitionError(),
        errors.OutOfOrderSequenceNumber(),
        errors.ProducerFenced(),
        errors.UnknownError(),
        errors.IllegalOperation(),
    ],
)
def test_everything_else_is_tried_again(error: Exception) -> None:
    assert type(outcome_of(error)) is NotPublished


def test_every_code_of_kafka_that_is_no_refusal_is_waited_for_or_tried_again() -> None:
    refused = {code for code, kind in errors.kafka_errors.items() if isinstance(outcome_of(kind()), Refused)}

    assert refused == {10, 17, 18, 87}


def test_no_error_is_about_the_message_and_about_its_topic() -> None:
    assert not set(REFUSALS) & set(OPERATORS)


def test_a_code_aiokafka_does_not_know_is_known() -> None:
    assert errors.for_code(87) is InvalidRecordError


def test_an_outcome_says_the_error_and_what_it_means() -> None:
    assert str(outcome_of(errors.TopicAuthorizationFailedError("payments"))) == (
        "TopicAuthorizationFailedError: the right to WRITE to the topic is missing; [Error 29]"
        " TopicAuthorizationFailedError: payments"
    )
