"""Sends to what takes messages and events besides functions: SQS queues, SNS topics, EventBridge buses, S3 buckets."""

from __future__ import annotations

from enum import Enum
from typing import Any
from urllib.parse import urlencode

import msgspec

from pilotlight.invoke.deliveries import Delivery
from pilotlight.observe import trace_header
from pilotlight.triggers.s3_backend import Request
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.s3_address import object_path

#: codes of SQS (in its JSON and its query protocol), SNS, EventBridge and S3
_MISSING = ("QueueDoesNotExist", "NonExistentQueue", "NotFound", "NoSuchBucket")
_DENIED = ("AccessDenied", "AuthorizationError", "NotAuthorized", "InvalidClientTokenId", "InvalidAccessKeyId")
_BUSY = ("Throttl", "TooManyRequests", "OverLimit", "SlowDown", "RequestTimeout")


class Fault(Enum):
    """Why a target did not take what it was sent."""

    DOWN = "the target is down or busy"
    MISSING = "there is no such target"
    DENIED = "it does not let us in"
    REFUSED = "it would never take it"


class TargetFault(Exception):
    """The target did not take it."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


class Targets:
    def __init__(self, request: Request) -> None:
        self._request = request

    async def deliver(self, delivery: Delivery) -> None:
        """Raises TargetFault, ServiceUnavailableException."""
        service = delivery.arn.split(":")[2] if delivery.arn else "events"
        if service == "sqs":
            await self._send_to_queue(delivery)
        elif service == "sns":
            await self._publish(delivery)
        elif service == "s3":
            await self._put_object(delivery)
        else:
            await self._put_event(delivery)

    async def _put_event(self, delivery: Delivery) -> None:
        account, region = delivery.account, delivery.region
        if delivery.arn:
            region, account = delivery.arn.split(":")[3:5]
        answer = await self._json(
            "events",
            account,
            region,
            "AWSEvents.PutEvents",
            {"Entries": [delivery.entry]},
            "application/x-amz-json-1.1",
        )
        if answer.get("FailedEntryCount"):
            text = str(answer.get("Entries"))
            fault = Fault.MISSING if "NotFound" in text else Fault.DOWN if "Internal" in text else Fault.REFUSED
            raise TargetFault(f"EventBridge refused the event: {text}", fault)

    async def _put_object(self, delivery: Delivery) -> None:
        bucket = delivery.arn.rpartition(":")[2]
        response = await self._request(
            "s3",
            delivery.account,
            delivery.region,
            "PUT",
            object_path(bucket, delivery.key),
            headers={"content-type": "application/json", **_traced(delivery)},
            body=delivery.message.encode(),
        )
        _check(response)

    async def _send_to_queue(self, delivery: Delivery) -> None:
        region, account, name = delivery.arn.split(":")[3:6]
        kind = "application/x-amz-json-1.0"
        found = await self._json(
            "sqs",
            account,
            region,
            "AmazonSQS.GetQueueUrl",
            {"QueueName": name, "QueueOwnerAWSAccountId": account},
            kind,
        )
        message: dict[str, Any] = {"QueueUrl": found.get("QueueUrl", ""), "MessageBody": delivery.message}
        if delivery.attributes:
            message["MessageAttributes"] = {
                name: {"DataType": attribute.type, "StringValue": attribute.value}
                for name, attribute in delivery.attributes.items()
            }
        if delivery.trace_header:
            message["MessageSystemAttributes"] = {
                "AWSTraceHeader": {"DataType": "String", "StringValue": delivery.trace_header}
            }
        await self._json("sqs", account, region, "AmazonSQS.SendMessage", message, kind)

    async def _publish(self, delivery: Delivery) -> None:
        region, account = delivery.arn.split(":")[3:5]
        form = {
            "Action": "Publish",
            "Version": "2010-03-31",
            "TopicArn": delivery.arn,
            "Message": delivery.message,
        }
        if delivery.subject:
            form["Subject"] = delivery.subject
        for number, (name, attribute) in enumerate(delivery.attributes.items(), 1):
            entry = f"MessageAttributes.entry.{number}"
            form[f"{entry}.Name"] = name
            form[f"{entry}.Value.DataType"] = attribute.type
            form[f"{entry}.Value.StringValue"] = attribute.value
        response = await self._request(
            "sns",
            account,
            region,
            "POST",
            "/",
            headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8", **_traced(delivery)},
            body=urlencode(form).encode(),
        )
        _check(response)

    async def _json(
        self, service: str, account: str, region: str, operation: str, parameters: dict[str, Any], content_type: str
    ) -> dict[str, Any]:
        response = await self._request(
            service,
            account,
            region,
            "POST",
            "/",
            headers={"content-type": content_type, "x-amz-target": operation},
            body=msgspec.json.encode(parameters),
        )
        body = _check(response)
        try:
            return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
        except msgspec.DecodeError as error:
            raise TargetFault(f"answered what is not JSON: {error}", Fault.DOWN) from error


def _traced(delivery: Delivery) -> dict[str, str]:
    return {trace_header.HEADER: delivery.trace_header} if delivery.trace_header else {}


def _check(response: WireResponse) -> bytes:
    body = response.body if isinstance(response.body, bytes) else b""
    if response.status < 300:
        return body
    text = body[:500].decode(errors="replace")
    raise TargetFault(f"answered {response.status}: {text}", _fault(response.status, text))


def _fault(status: int, text: str) -> Fault:
    """By the code in an error's text, else by its status."""
    if any(code in text for code in _BUSY):
        return Fault.DOWN
    if any(code in text for code in _MISSING):
        return Fault.MISSING
    if status in (401, 403) or any(code in text for code in _DENIED):
        return Fault.DENIED
    return Fault.REFUSED if 400 <= status < 500 and status not in (408, 429) else Fault.DOWN
