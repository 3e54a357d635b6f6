"""Reads records, a line for each: the header `ce_type`, and behind a tab the value."""

import sys

from pydantic import BaseModel, ValidationError

from events import OrderPlacedV1, decode


def cents(event: OrderPlacedV1) -> int:
    return event.total_cents


for line in sys.stdin:
    event_type, _, value = line.rstrip("\n").partition("\t")
    try:
        event = decode(event_type, value.encode() if value else None)
    except ValidationError:
        print("refused")
        continue
    if isinstance(event, OrderPlacedV1):
        print(f"{cents(event)} cents")
    elif isinstance(event, BaseModel):
        print(type(event).__name__, event.model_dump_json(by_alias=True))
    else:
        print(event)
