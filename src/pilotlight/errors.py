"""Every error a client can see, named exactly as AWS names it, each with its HTTP status.

Nobody else builds error bodies: operations, invoke, front and neighbours raise these, and `wire` (or the front's hot
path) renders them. Source of names and statuses: botocore's `lambda` 2015-03-31 model, and AWS's common errors.
"""

from __future__ import annotations

from typing import ClassVar


class AwsError(Exception):
    """An error in AWS's terms.

    `message` is what the client reads. `members` are further members of the error shape by their model names (for
    example `Reason`, `Type`, `retryAfterSeconds`); `wire` puts each where the model says (body or header).
    """

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "User"

    def __init__(self, message: str = "", **members: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.members: dict[str, str | int] = members


class ServiceException(AwsError):
    """The service's own fault: something of ours broke; the cause is in the node's log."""

    code = "ServiceException"
    status = 500
    type = "Service"


class ResourceNotFoundException(AwsError):
    code = "ResourceNotFoundException"
    status = 404


class ResourceConflictException(AwsError):
    code = "ResourceConflictException"
    status = 409


class InvalidParameterValueException(AwsError):
    code = "InvalidParameterValueException"
    status = 400


class ValidationException(AwsError):
    """Model constraints: `N validation error(s) detected: ...`."""

    code = "ValidationException"
    status = 400


class InvalidRequestContentException(AwsError):
    code = "InvalidRequestContentException"
    status = 400


class RequestEntityTooLargeException(AwsError):
    code = "RequestEntityTooLargeException"
    status = 413


class TooManyRequestsException(AwsError):
    code = "TooManyRequestsException"
    status = 429


class PreconditionFailedException(AwsError):
    code = "PreconditionFailedException"
    status = 412


class CodeStorageExceededException(AwsError):
    code = "CodeStorageExceededException"
    status = 400


class ResourceInUseException(AwsError):
    """An event source mapping that is between two states."""

    code = "ResourceInUseException"
    status = 400


class PolicyLengthExceededException(AwsError):
    code = "PolicyLengthExceededException"
    status = 400


class AliasLimitExceededException(AwsError):
    code = "AliasLimitExceededException"
    status = 400


class PublicPolicyException(AwsError):
    code = "PublicPolicyException"
    status = 400


class CodeSigningConfigNotFoundException(AwsError):
    code = "CodeSigningConfigNotFoundException"
    status = 404


class CodeVerificationFailedException(AwsError):
    code = "CodeVerificationFailedException"
    status = 400


class FunctionVersionsPerCapacityProviderLimitExceededException(AwsError):
    code = "FunctionVersionsPerCapacityProviderLimitExceededException"
    status = 400


class CapacityProviderLimitExceededException(AwsError):
    code = "CapacityProviderLimitExceededException"
    status = 400


class DurableExecutionAlreadyStartedException(AwsError):
    code = "DurableExecutionAlreadyStartedException"
    status = 409


class CallbackTimeoutException(AwsError):
    code = "CallbackTimeoutException"
    status = 400


class RecursiveInvocationException(AwsError):
    """A function that has come back to itself too often in one chain of requests."""

    code = "RecursiveInvocationException"
    status = 400


class ProvisionedConcurrencyConfigNotFoundException(AwsError):
    code = "ProvisionedConcurrencyConfigNotFoundException"
    status = 404


class NotImplementedException(AwsError):
    """What does not exist here yet, an operation or what a function needs to run; the message names it."""

    code = "NotImplementedException"
    status = 501
    type = "Service"


class AccessDeniedException(AwsError):
    code = "AccessDeniedException"
    status = 403


class UnknownOperationException(AwsError):
    code = "UnknownOperationException"
    status = 404


class SerializationException(AwsError):
    code = "SerializationException"
    status = 400


class MissingAuthenticationTokenException(AwsError):
    code = "MissingAuthenticationTokenException"
    status = 403


class IncompleteSignatureException(AwsError):
    code = "IncompleteSignatureException"
    status = 403


class InvalidSignatureException(AwsError):
    code = "InvalidSignatureException"
    status = 403


class UnrecognizedClientException(AwsError):
    code = "UnrecognizedClientException"
    status = 403


class ExpiredTokenException(AwsError):
    code = "ExpiredTokenException"
    status = 403


class ServiceUnavailableException(AwsError):
    """The node is stopping, or a neighbour cannot be reached."""

    code = "ServiceUnavailableException"
    status = 503
    type = "Service"


# CloudWatch Logs (json 1.1)
class InvalidParameterException(AwsError):
    code = "InvalidParameterException"
    status = 400


class ResourceAlreadyExistsException(AwsError):
    code = "ResourceAlreadyExistsException"
    status = 400


class LimitExceededException(AwsError):
    code = "LimitExceededException"
    status = 400


class LogsResourceNotFoundException(AwsError):
    """CloudWatch Logs' own ResourceNotFoundException is a 400, as every error of a `json` service."""

    code = "ResourceNotFoundException"
    status = 400


# What the front door says before any service is asked: malformed HTTP, slow clients, and S3's own names for
# authentication faults (S3 and the query protocols do not use the `...Exception` names)
class BadRequestException(AwsError):
    """Not HTTP as we can read it: bad framing, no Host, a header that must not be repeated."""

    code = "BadRequestException"
    status = 400


class RequestHeaderSectionTooLarge(AwsError):
    code = "RequestHeaderSectionTooLarge"
    status = 431


class RequestTimeout(AwsError):
    code = "RequestTimeout"
    status = 400


class IncompleteBody(AwsError):
    code = "IncompleteBody"
    status = 400


class AccessDenied(AwsError):
    code = "AccessDenied"
    status = 403


class SignatureDoesNotMatch(AwsError):
    code = "SignatureDoesNotMatch"
    status = 403


class InvalidAccessKeyId(AwsError):
    code = "InvalidAccessKeyId"
    status = 403


class InvalidClientTokenId(AwsError):
    code = "InvalidClientTokenId"
    status = 403


class RequestTimeTooSkewed(AwsError):
    code = "RequestTimeTooSkewed"
    status = 403


class AuthorizationHeaderMalformed(AwsError):
    code = "AuthorizationHeaderMalformed"
    status = 400


class XAmzContentSHA256Mismatch(AwsError):
    code = "XAmzContentSHA256Mismatch"
    status = 400


# Amazon S3 (rest-xml): rendered as `<Error><Code>..`, members as further elements by their names
class InvalidArgument(AwsError):
    """Members: ArgumentName and ArgumentValue, or numbered ones."""

    code = "InvalidArgument"
    status = 400


class MalformedXML(AwsError):
    code = "MalformedXML"
    status = 400


class NoSuchBucket(AwsError):
    """Members: BucketName."""

    code = "NoSuchBucket"
    status = 404


class EntityTooLarge(AwsError):
    code = "EntityTooLarge"
    status = 400


class InternalError(AwsError):
    """The object was written and its event could not be stored, or something of ours broke."""

    code = "InternalError"
    status = 500
    type = "Service"


class ExpiredToken(AwsError):
    code = "ExpiredToken"
    status = 400


class AuthorizationQueryParametersError(AwsError):
    code = "AuthorizationQueryParametersError"
    status = 400


class InvalidRequest(AwsError):
    """S3's name for a request that it understands and will not serve."""

    code = "InvalidRequest"
    status = 400


# CloudWatch Logs again
class TooManyTagsException(AwsError):
    code = "TooManyTagsException"
    status = 400


# CloudWatch (CBOR, json 1.0 and query; the query protocol has shorter names, which the model holds)
class MissingRequiredParameterException(AwsError):
    code = "MissingRequiredParameterException"
    status = 400


class InvalidParameterCombinationException(AwsError):
    code = "InvalidParameterCombinationException"
    status = 400


class InvalidNextToken(AwsError):
    code = "InvalidNextToken"
    status = 400
