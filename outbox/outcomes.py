"""Outcomes: what became of a message, and what an error of Kafka says about it.

One that Kafka does not have is `NotPublished` or `Refused` (drawn in `tables.errors`).

Only an error about the message itself refuses it. What is about rights, the topic or its settings is waited for: every
message of the topic would meet it, and none of them is at fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiokafka import errors

from outbox.errors import Permanent, Transient


class NotPublished(Transient):
    """Kafka did not acknowledge in time; whether it has the message is unknown."""


class Unwritable(NotPublished):
    """Kafka takes nothing for this topic until somebody changes something there."""


class Aborted(NotPublished):
    """The transaction failed because of another message."""


class Refused(Permanent):
    """Kafka will never take this message."""

    reason = "refused"


#: None: Kafka has it.
Outcome = NotPublished | Refused | None

#: What is known of a message until an attempt says more.
NOT_SENT: Final = NotPublished("not sent")


class InvalidRecordError(errors.BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """The broker's validation refuses a record of the batch; aiokafka 0.14 does not know the code."""

    errno = 87
    message = "INVALID_RECORD"


errors.kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)

#: Errors about a message itself, and why no second attempt helps. The codes are Kafka's:
#: https://kafka.apache.org/protocol#protocol_error_codes
REFUSALS: Final[Mapping[type[errors.KafkaError], str]] = MappingProxyType(
    {
        errors.MessageSizeTooLargeError: "it is larger than the topic or the producer takes",
        errors.RecordListTooLargeError: "it is larger than a segment of the topic",
        InvalidRecordError: "the broker's validation refuses the record",
        errors.InvalidTopicError: "no topic of ours can have this name",
    }
)

#: Of these Kafka says only that some record of the batch is at fault, or that the batch as a whole is too large.
ABOUT_A_BATCH: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, InvalidRecordError)

#: Errors that last until somebody acts, and what is to be done.
OPERATORS: Final[Mapping[type[errors.KafkaError], str]] = MappingProxyType(
    {
        errors.TopicAuthorizationFailedError: "the right to WRITE to the topic is missing",
        errors.ClusterAuthorizationFailedError: "the right to WRITE, or IDEMPOTENT_WRITE on the cluster, is missing",
        errors.GroupAuthorizationFailedError: "the right to READ the group of the fenced lanes is missing",
        errors.TransactionalIdAuthorizationFailed: "the right to WRITE with the transactional id is missing",
        errors.SaslAuthenticationFailed: "Kafka does not know the user or the password",
        errors.AuthenticationFailedError: "Kafka does not know the user or the password",
        errors.AuthenticationMethodNotSupported: "Kafka does not take this SASL mechanism",
        errors.UnsupportedSaslMechanismError: "Kafka does not take this SASL mechanism",
        errors.IllegalSaslStateError: "this listener of Kafka wants another way to log in",
        errors.SecurityDisabled: "Kafka has no authorizer for what is asked",
        errors.DelegationTokenAuthorizationFailed: "the delegation token does not give this right",
        errors.DelegationTokenExpired: "the delegation token has expired",
        errors.UnknownTopicOrPartitionError: "Kafka tells of no such topic",
        errors.InvalidPartitionsError: "a key would go to another partition than what came before it",
        errors.NotEnoughReplicasError: "fewer replicas are in sync than min.insync.replicas asks for",
        errors.NotEnoughReplicasAfterAppendError: "fewer replicas are in sync than min.insync.replicas asks for",
        errors.KafkaStorageError: "a disk of the broker fails",
        errors.InvalidConfigurationError: "a setting of the topic is wrong",
        errors.PolicyViolationError: "a policy of the cluster forbids it",
        # The time of a record is set at each attempt, so no message has a wrong one of its own.
        errors.InvalidTimestampError: "this machine's clock, or the bounds of time of the topic, are wrong",
        errors.UnsupportedForMessageFormatError: "the message format of the topic is too old for headers",
        errors.UnsupportedVersionError: "the broker is too old",
        errors.IncompatibleBrokerVersion: "the broker is too old",
        errors.InvalidRequiredAcksError: "the broker takes no acks=all",
        errors.InvalidTransactionTimeout: "transaction.max.timeout.ms of the brokers is too short",
    }
)


def outcome_of(error: BaseException) -> NotPublished | Refused:
    """What an error of aiokafka, or a time-out, says about the messages it met."""
    if isinstance(error, TimeoutError):
        return NotPublished("Kafka did not acknowledge in time")
    said = f"{type(error).__name__}: {_explained(error)}"
    if isinstance(error, tuple(REFUSALS)):
        return Refused(said)
    if isinstance(error, tuple(OPERATORS)):
        return Unwritable(said)
    return NotPublished(said)


def _explained(error: BaseException) -> str:
    why = next((why for kind, why in {**REFUSALS, **OPERATORS}.items() if isinstance(error, kind)), "")
    return "; ".join(part for part in (why, str(error)) if part)
