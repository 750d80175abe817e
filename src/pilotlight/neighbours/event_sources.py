"""What Lambda asks of the sources of event source mappings: a queue's attributes, and whether a stream is there.

Embedded and configured services are asked alike. A service that is off is not asked. What one refuses, or that it does
not answer, is passed on in the words in which AWS passes such failures on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from pilotlight.errors import InvalidParameterValueException, ServiceUnavailableException
from pilotlight.neighbours.neighbours import Neighbours
from pilotlight.wire.messages import WireResponse

#: SQS's names for a missing queue, in its JSON protocol and as Lambda writes it
_NO_SUCH_QUEUE = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}


class NeighbourEventSources:
    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    async def queue_attributes(self, arn: str) -> Mapping[str, str] | None:
        """By SQS's names, for example VisibilityTimeout; None when SQS is off.

        Raises InvalidParameterValueException when there is no such queue, or SQS does not answer.
        """
        if not self._neighbours.has("sqs"):
            return None
        _, _, _, region, account, name = arn.split(":")
        found = await self._sqs(account, region, "GetQueueUrl", {"QueueName": name, "QueueOwnerAWSAccountId": account})
        wanted = {"QueueUrl": found["QueueUrl"], "AttributeNames": ["All"]}
        return cast("dict[str, str]", (await self._sqs(account, region, "GetQueueAttributes", wanted))["Attributes"])

    async def has_stream(self, arn: str) -> bool:
        """Of Kinesis (the stream, or a consumer of it) or DynamoDB; True when that service is off.

        Raises InvalidParameterValueException when it does not answer.
        """
        _, _, service, region, account, resource = arn.split(":", 5)
        if not self._neighbours.has(service):
            return True
        if service == "dynamodb":
            # asked by table: DescribeStream of moto answers for any label
            streams = await self._read(
                service, account, region, "DynamoDBStreams_20120810.ListStreams", {"TableName": resource.split("/")[1]}
            )
            labels = [stream["StreamArn"].split(":", 5)[5] for stream in (streams or {}).get("Streams", [])]
            return resource in labels
        if "/consumer/" in resource:
            operation, wanted = "DescribeStreamConsumer", {"ConsumerARN": arn}
        else:
            operation, wanted = "DescribeStreamSummary", {"StreamName": resource.removeprefix("stream/")}
        return await self._read(service, account, region, f"Kinesis_20131202.{operation}", wanted) is not None

    async def _sqs(self, account: str, region: str, operation: str, wanted: dict[str, Any]) -> dict[str, Any]:
        try:
            response = await self._ask("sqs", account, region, f"AmazonSQS.{operation}", "1.0", wanted)
        except ServiceUnavailableException as error:
            raise _receive_failed("ServiceUnavailable", error.message) from error
        if response.status != 200:
            code, message = _error(response)
            raise _receive_failed(_NO_SUCH_QUEUE.get(code, code), message)
        return _body(response)

    async def _read(
        self, service: str, account: str, region: str, target: str, wanted: dict[str, Any]
    ) -> dict[str, Any] | None:
        """None: there is no such thing."""
        version = "1.0" if service == "dynamodb" else "1.1"
        try:
            response = await self._ask(service, account, region, target, version, wanted)
        except ServiceUnavailableException as error:
            raise _stream_failed(error.message) from error
        if response.status == 200:
            return _body(response)
        code, message = _error(response)
        if code == "ResourceNotFoundException":
            return None
        raise _stream_failed(message)

    async def _ask(
        self, service: str, account: str, region: str, target: str, json_version: str, wanted: dict[str, Any]
    ) -> WireResponse:
        headers = {"x-amz-target": target, "content-type": f"application/x-amz-json-{json_version}"}
        body = msgspec.json.encode(wanted)
        return await self._neighbours.request(service, account, region, "POST", "/", headers=headers, body=body)


def _body(response: WireResponse) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(cast(bytes, response.body))
    except msgspec.DecodeError:
        decoded = None
    return cast("dict[str, Any]", decoded) if isinstance(decoded, dict) else {}


def _error(response: WireResponse) -> tuple[str, str]:
    """Code, without its namespace, and message; made up from the status when the body is none of AWS's."""
    body = _body(response)
    code = str(body.get("__type", f"Http{response.status}")).rpartition("#")[2]
    return code, str(body.get("message") or body.get("Message") or f"The service answered {response.status}.")


def _receive_failed(code: str, message: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Error occurred while ReceiveMessage. SQS Error Code: {code}. SQS Error Message: {message}"
    )


def _stream_failed(message: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Received Exception while reading from provided stream. {message}")
