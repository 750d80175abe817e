"""What a refused signature is called: S3, the query protocols and everything else each have names of their own.

Wording as AWS's services answer. Each function returns the error for the caller to raise.
"""

from __future__ import annotations

from typing import Literal

from pilotlight import errors
from pilotlight.errors import AwsError

Style = Literal["s3", "query", "json"]
"""Which names: S3's, the query protocol's (IAM, STS, SNS ...), or those of the JSON protocols (Lambda, Logs ...)."""

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def missing(style: Style) -> AwsError:
    """No credentials at all."""
    if style == "s3":
        return errors.AccessDenied("Access Denied")
    return errors.MissingAuthenticationTokenException("Missing Authentication Token")


def mismatch(style: Style) -> AwsError:
    if style == "s3":
        return errors.SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. Check your key and signing "
            "method."
        )
    if style == "query":
        return errors.SignatureDoesNotMatch(_MISMATCH)
    return errors.InvalidSignatureException(_MISMATCH)


def unknown_key(style: Style, access_key_id: str) -> AwsError:
    """Neither a configured key nor one that this node issued (a token that is not genuine is the same to a client)."""
    if style == "s3":
        return errors.InvalidAccessKeyId(
            "The AWS Access Key Id you provided does not exist in our records.", AWSAccessKeyId=access_key_id
        )
    text = "The security token included in the request is invalid."
    return errors.InvalidClientTokenId(text) if style == "query" else errors.UnrecognizedClientException(text)


def expired_token(style: Style) -> AwsError:
    if style == "json":
        return errors.ExpiredTokenException("The security token included in the request is expired")
    return errors.ExpiredToken(
        "The provided token has expired." if style == "s3" else "The security token included in the request is expired"
    )


def _invalid(style: Style, text: str) -> AwsError:
    return errors.SignatureDoesNotMatch(text) if style == "query" else errors.InvalidSignatureException(text)


def expired(style: Style, amz_date: str, limit: str, now: str, allowed_s: int) -> AwsError:
    """The request's date is too old. Dates as `20261121T033200Z`."""
    if style == "s3":
        return _skewed()
    return _invalid(
        style, f"Signature expired: {amz_date} is now earlier than {limit} ({now} - {allowed_s // 60} min.)"
    )


def not_yet(style: Style, amz_date: str, now: str, allowed_s: int) -> AwsError:
    if style == "s3":
        return _skewed()
    return _invalid(
        style, f"Signature not yet current: {amz_date} is still later than {now} ({now} + {allowed_s // 60} min.)"
    )


def presigned_expired(style: Style, amz_date: str, now: str) -> AwsError:
    if style == "s3":
        return errors.AccessDenied("Request has expired")
    return _invalid(style, f"Signature expired: {amz_date} is now earlier than {now}")


def _skewed() -> AwsError:
    return errors.RequestTimeTooSkewed("The difference between the request time and the current time is too large.")


def incomplete(style: Style, text: str) -> AwsError:
    if style == "s3":
        return errors.AuthorizationHeaderMalformed(text)
    return errors.IncompleteSignatureException(text)


def incomplete_header(style: Style, lacking: list[str], *, no_date: bool, authorization: str) -> AwsError:
    sentences = [f"Authorization header requires '{name}' parameter." for name in lacking]
    if no_date:
        sentences.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if style == "s3":
        return errors.AuthorizationHeaderMalformed(
            "The authorization header is malformed; " + " ".join(sentences).removesuffix(".")
        )
    # The signature itself is left out of what is quoted.
    sentences.append(f"Authorization={authorization.partition(' ')[0]}")
    return errors.IncompleteSignatureException(" ".join(sentences))


def incomplete_query(style: Style, lacking: list[str]) -> AwsError:
    if style == "s3":
        return errors.AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    return errors.IncompleteSignatureException(
        " ".join(f"AWS query-string parameters must include '{name}'." for name in lacking)
    )


def incomplete_v2() -> AwsError:
    return errors.AccessDenied(
        "AWS authentication requires a valid Date or x-amz-date header, or Query-string authentication the Signature, "
        "Expires and AWSAccessKeyId parameters"
    )


def unsupported(style: Style, algorithm: str, authorization: str) -> AwsError:
    if style == "s3":
        return errors.InvalidRequest(
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        )
    if algorithm.startswith("AWS4-"):
        return errors.IncompleteSignatureException(
            f"Unsupported AWS 'algorithm': '{algorithm}' (only AWS4-HMAC-SHA256 for now)."
        )
    return incomplete_header(
        style, ["Credential", "Signature", "SignedHeaders"], no_date=False, authorization=authorization
    )


def malformed_credential(style: Style, credential: str) -> AwsError:
    if style == "s3":
        return errors.AuthorizationHeaderMalformed(
            "The authorization header is malformed; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    return errors.IncompleteSignatureException(
        f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
        f"'{credential[:200]}'"
    )


def wrong_scope_date(style: Style, scope_date: str, amz_date: str) -> AwsError:
    if style == "s3":
        return errors.AuthorizationHeaderMalformed(
            f'The authorization header is malformed; Invalid credential date "{scope_date}". This date is not the same '
            f'as X-Amz-Date: "{amz_date[:8]}".'
        )
    return _invalid(
        style,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'{scope_date}' != '{amz_date[:8]}', from '{amz_date}'.",
    )


def not_signed(style: Style, names: list[str]) -> AwsError:
    """A header that must be covered by the signature is not."""
    if style == "s3":
        return errors.AccessDenied(
            "There were headers present in the request which were not signed", HeadersNotSigned=", ".join(names)
        )
    shown = "'Host' or ':authority'" if names == ["host"] else ", ".join(f"'{name}'" for name in names)
    return _invalid(style, f"{shown} must be a 'SignedHeader' in the AWS Authorization.")


def bad_payload_word(style: Style) -> AwsError:
    text = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
    text += "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
    return errors.InvalidArgument(text) if style == "s3" else _invalid(style, text)


def body_mismatch(style: Style) -> AwsError:
    """The body is not the one that X-Amz-Content-SHA256 declares."""
    if style == "s3":
        return errors.XAmzContentSHA256Mismatch(
            "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    return mismatch(style)
