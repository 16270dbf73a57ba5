"""Names: what OpenTelemetry calls what is told of a span. The one place to change when its conventions do.

Source: OpenTelemetry's semantic conventions for messaging and Kafka, generative AI, databases and CloudEvents, most of
them still "development". What they have no word for begins with `innervate.`.
"""

from __future__ import annotations

from typing import Final

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_PARTITION: Final = "messaging.destination.partition.id"
MESSAGING_OFFSET: Final = "messaging.kafka.offset"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"
KAFKA: Final = "kafka"
PROCESS: Final = "process"
SEND: Final = "send"

CLOUDEVENTS_ID: Final = "cloudevents.event_id"
CLOUDEVENTS_SOURCE: Final = "cloudevents.event_source"
CLOUDEVENTS_TYPE: Final = "cloudevents.event_type"

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_AGENT: Final = "gen_ai.agent.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_OUTPUT_TYPE: Final = "gen_ai.output.type"
INVOKE_AGENT: Final = "invoke_agent"
CHAT: Final = "chat"
#: Whose API is spoken, where nobody knows who answers.
OPENAI: Final = "openai"

DB_SYSTEM: Final = "db.system.name"
DB_OPERATION: Final = "db.operation.name"
POSTGRESQL: Final = "postgresql"

SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"

DECISION_ID: Final = "innervate.decision.id"
DECISION_OUTCOME: Final = "innervate.decision.outcome"
DECISION_STATUS: Final = "innervate.decision.status"
DECISION_BRAIN: Final = "innervate.decision.brain"
DECISION_FALLBACK: Final = "innervate.decision.fallback_reason"
DECISION_IS_NEW: Final = "innervate.decision.is_new"
LANE: Final = "innervate.outbox.lane"
