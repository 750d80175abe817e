"""Sends to what S3 can notify besides functions: SQS queues, SNS topics, the default EventBridge bus."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from pilotlight.triggers.s3_backend import Request
from pilotlight.wire.messages import WireResponse

#: SQS in its JSON and its query protocol, SNS
_MISSING = ("QueueDoesNotExist", "NonExistentQueue", "NotFound")


class TargetFault(Exception):
    """The target did not take it. `missing`: there is no such target."""

    def __init__(self, message: str, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class Targets:
    def __init__(self, request: Request) -> None:
        self._request = request

    async def send(self, arn: str, message: str) -> None:
        """A message to the queue or topic `arn`. Raises TargetFault, ServiceUnavailableException."""
        if arn.split(":")[2] == "sqs":
            await self._send_to_queue(arn, message)
        else:
            await self._publish(arn, message)

    async def put_event(self, account: str, region: str, entry: dict[str, Any]) -> None:
        """An entry to the account's default bus. Raises TargetFault, ServiceUnavailableException."""
        answer = await self._json(
            "events", account, region, "AWSEvents.PutEvents", {"Entries": [entry]}, "application/x-amz-json-1.1"
        )
        if answer.get("FailedEntryCount"):
            raise TargetFault(f"EventBridge refused the event: {answer.get('Entries')}")

    async def _send_to_queue(self, arn: str, message: str) -> None:
        region, account, name = arn.split(":")[3:6]
        kind = "application/x-amz-json-1.0"
        found = await self._json(
            "sqs",
            account,
            region,
            "AmazonSQS.GetQueueUrl",
            {"QueueName": name, "QueueOwnerAWSAccountId": account},
            kind,
        )
        await self._json(
            "sqs",
            account,
            region,
            "AmazonSQS.SendMessage",
            {"QueueUrl": found.get("QueueUrl", ""), "MessageBody": message},
            kind,
        )

    async def _publish(self, arn: str, message: str) -> None:
        region, account = arn.split(":")[3:5]
        form = {
            "Action": "Publish",
            "Version": "2010-03-31",
            "TopicArn": arn,
            "Subject": "Amazon S3 Notification",
            "Message": message,
        }
        response = await self._request(
            "sns",
            account,
            region,
            "POST",
            "/",
            headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
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
            raise TargetFault(f"answered what is not JSON: {error}") from error


def _check(response: WireResponse) -> bytes:
    body = response.body if isinstance(response.body, bytes) else b""
    if response.status < 300:
        return body
    text = body[:500].decode(errors="replace")
    raise TargetFault(f"answered {response.status}: {text}", missing=any(code in text for code in _MISSING))
