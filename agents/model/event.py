"""The base of the domain events and the types of their fields.

Strict: `true`, `1.0` and `"1"` are no integers. Tolerant: fields nobody here knows are ignored, so a producer
may add some. What breaks a rule fails with pydantic's `ValidationError`, which `parse_data` translates.
"""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Data(BaseModel):
    """An immutable object of `data`: strict about the fields it knows, silent about the others."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)


class DomainEvent(Data):
    """What happened, as the `data` of an event; the name of the class is the event's type."""

    #: The domain topic these events are published to.
    topic: ClassVar[str]

    @property
    def kafka_key(self) -> str:
        """The Kafka key of the event: its order, else its customer, else its service; "" when it has none."""
        named = (getattr(self, field, None) for field in ("order_id", "customer_id", "service"))
        return next((entity_id for entity_id in named if entity_id), "")


#: Identifies something: 1 to 256 characters.
Id = Annotated[str, Field(min_length=1, max_length=256)]
#: A short word or name, such as a carrier or a payment method: 1 to 256 characters.
Name = Annotated[str, Field(min_length=1, max_length=256)]
#: Free text, possibly empty; the size of the whole message bounds it.
Text = str
#: Money in minor units, 0 or more. Up to 2**53 - 1, the largest integer every JSON reader keeps (RFC 8259).
Money = Annotated[int, Field(ge=0, le=2**53 - 1)]
#: ISO 4217 code.
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
#: ISO 3166-1 alpha-2 code.
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
#: Pieces ordered or wanted, 1 or more; PostgreSQL's integer is the upper bound.
Quantity = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: Pieces on stock, 0 or more; PostgreSQL's integer is the upper bound.
Stock = Annotated[int, Field(ge=0, le=2**31 - 1)]
#: Probability, 0 to 1.
Confidence = Annotated[float, Field(ge=0, le=1)]
# JSON has lists only, so a list must do for a tuple; the members stay strict.
#: Ids in the order given.
Ids = Annotated[tuple[Id, ...], Field(strict=False)]
#: Texts in the order given.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
