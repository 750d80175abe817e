"""Every way to write to S3 makes its event, exactly once, with S3's fields, whatever the S3 server behind."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.neighbours.harness import Front


@pytest.fixture
def bucket(front: Front) -> str:
    """A bucket whose every event goes to the function `all-<bucket>`."""
    name = f"b-{uuid.uuid4().hex[:12]}"
    front.client().create_bucket(Bucket=name)
    front.drain()
    notify(
        front,
        name,
        ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put", "s3:ObjectRestore:*"],
    )
    return name


def notify(front: Front, bucket: str, events: list[str], rules: dict[str, str] | None = None) -> None:
    function = f"all-{bucket}"
    arn = front.functions.add(function)
    front.functions.allow(function, bucket)
    configuration: dict[str, Any] = {"Id": "cfg", "LambdaFunctionArn": arn, "Events": events}
    if rules:
        configuration["Filter"] = {
            "Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in rules.items()]}
        }
    front.client().put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [configuration]}
    )


def versioned(front: Front, bucket: str) -> None:
    front.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_put_makes_the_record_that_s3_makes(front: Front, bucket: str) -> None:
    answer = front.client().put_object(Bucket=bucket, Key="a/b.txt", Body=b"hello")
    [event] = front.events()
    assert (event.function, event.source, event.source_arn) == (
        f"all-{bucket}",
        "s3.amazonaws.com",
        f"arn:aws:s3:::{bucket}",
    )
    [record] = json.loads(event.payload)["Records"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("eventTime"))
    assert re.fullmatch(r"00[0-9A-F]{16}", record["s3"]["object"].pop("sequencer"))
    assert re.fullmatch(r"A[A-Z0-9]{13}", record["s3"]["bucket"].pop("ownerIdentity")["principalId"])
    metadata = answer["ResponseMetadata"]
    assert record.pop("responseElements") == {
        # Versity's gateway sends both headers twice.
        "x-amz-request-id": metadata["RequestId"].partition(", ")[0],
        "x-amz-id-2": metadata["HostId"].partition(", ")[0],
    }
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:000000000000"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "cfg",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": "a/b.txt", "size": 5, "eTag": answer["ETag"].strip('"')},
        },
    }
    assert front.no_events()


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("red flower.jpg", "red+flower.jpg"),
        ("a+b=c&d.txt", "a%2Bb%3Dc%26d.txt"),
        ("ünïcode/日本.txt", "%C3%BCn%C3%AFcode/%E6%97%A5%E6%9C%AC.txt"),
        ("100%/~x.txt", "100%25/~x.txt"),
    ],
)
def test_keys_are_encoded_as_in_a_form(front: Front, bucket: str, key: str, encoded: str) -> None:
    front.client().put_object(Bucket=bucket, Key=key, Body=b"x")
    [record] = front.records()
    assert record["s3"]["object"]["key"] == encoded
    assert front.client().get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


def test_virtual_host_style_is_the_same(front: Front, bucket: str) -> None:
    front.virtual_host_client().put_object(Bucket=bucket, Key="v/x y.txt", Body=b"abc")
    assert front.seen[-1]["host"].startswith(f"{bucket}.localhost")
    [record] = front.records()
    assert (record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]) == (bucket, "v/x+y.txt")
    assert front.client().get_object(Bucket=bucket, Key="v/x y.txt")["Body"].read() == b"abc"


def test_sequencers_grow(front: Front, bucket: str) -> None:
    for _ in range(5):
        front.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    sequencers = [int(record["s3"]["object"]["sequencer"], 16) for record in front.records(5)]
    assert sorted(set(sequencers)) == sequencers


def test_a_copy(front: Front, bucket: str) -> None:
    client = front.client()
    client.put_object(Bucket=bucket, Key="from", Body=b"four")
    front.records()
    answer = client.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    [record] = front.records()
    assert record["eventName"] == "ObjectCreated:Copy"
    described = record["s3"]["object"]
    assert (described["key"], described["size"]) == ("to", 4)
    assert described["eTag"] == answer["CopyObjectResult"]["ETag"].strip('"')


def test_a_multipart_upload_makes_one_event_when_it_is_complete(front: Front, bucket: str) -> None:
    client = front.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    part = b"p" * (5 << 20)
    etags = [
        client.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=n, Body=body)["ETag"]
        for n, body in ((1, part), (2, b"end"))
    ]
    assert front.no_events()
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    answer = client.complete_multipart_upload(
        Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    [record] = front.records()
    assert record["eventName"] == "ObjectCreated:CompleteMultipartUpload"
    assert record["s3"]["object"]["size"] == len(part) + 3
    assert record["s3"]["object"]["eTag"] == answer["ETag"].strip('"')


def test_an_upload_that_cannot_be_completed_makes_none(front: Front, bucket: str) -> None:
    client = front.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    with pytest.raises(ClientError):
        client.complete_multipart_upload(
            Bucket=bucket,
            Key="big",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0123456789abcdef0123456789abcdef"'}]},
        )
    client.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload)
    assert front.no_events()


def test_a_refused_write_makes_none(front: Front, bucket: str) -> None:
    client = front.client()
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "not-there"})
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    front.records()
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="k", Body=b"y", IfNoneMatch="*")
    assert front.no_events()


def test_a_presigned_put(front: Front, bucket: str) -> None:
    url = front.client().generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "p q.txt"})
    request = urllib.request.Request(url, data=b"signed", method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    [record] = front.records()
    assert (record["s3"]["object"]["key"], record["s3"]["object"]["size"]) == ("p+q.txt", 6)


def test_an_object_deleted(front: Front, bucket: str) -> None:
    client = front.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    front.records()
    client.delete_object(Bucket=bucket, Key="k")
    [record] = front.records()
    assert record["eventName"] == "ObjectRemoved:Delete"
    assert set(record["s3"]["object"]) == {"key", "sequencer"}


def test_deleting_what_is_not_there_makes_none(front: Front, bucket: str) -> None:
    client = front.client()
    client.delete_object(Bucket=bucket, Key="never")
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "never"}, {"Key": "either"}]})
    assert front.no_events()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_batch_delete_makes_an_event_per_key(front: Front, bucket: str, quiet: bool) -> None:
    client = front.client()
    keys = ["a b", "c+d", "é"]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    front.records(3)
    client.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in [*keys, "absent"]], "Quiet": quiet}
    )
    records = front.records(3)
    assert {record["s3"]["object"]["key"] for record in records} == {"a+b", "c%2Bd", "%C3%A9"}
    assert {record["eventName"] for record in records} == {"ObjectRemoved:Delete"}
    assert front.no_events()


def test_versions_and_delete_markers(front: Front, bucket: str) -> None:
    versioned(front, bucket)
    client = front.client()
    version = client.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
    [put] = front.records()
    assert put["s3"]["object"]["versionId"] == version

    marker = client.delete_object(Bucket=bucket, Key="k")["VersionId"]
    [removed] = front.records()
    assert removed["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    assert removed["s3"]["object"]["versionId"] == marker
    assert removed["s3"]["object"]["eTag"] == "d41d8cd98f00b204e9800998ecf8427e"

    client.delete_object(Bucket=bucket, Key="k", VersionId=version)
    [gone] = front.records()
    assert gone["eventName"] == "ObjectRemoved:Delete"
    assert gone["s3"]["object"]["versionId"] == version


@pytest.mark.parametrize("quiet", [False, True])
def test_a_batch_delete_in_a_versioned_bucket(front: Front, bucket: str, quiet: bool) -> None:
    versioned(front, bucket)
    client = front.client()
    version = client.put_object(Bucket=bucket, Key="old", Body=b"x")["VersionId"]
    client.put_object(Bucket=bucket, Key="marked", Body=b"x")
    front.records(2)
    objects = [{"Key": "old", "VersionId": version}, {"Key": "marked"}]
    client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": quiet})
    names = {record["s3"]["object"]["key"]: record["eventName"] for record in front.records(2)}
    assert names == {"old": "ObjectRemoved:Delete", "marked": "ObjectRemoved:DeleteMarkerCreated"}


def test_tagging(front: Front, bucket: str) -> None:
    client = front.client()
    etag = client.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"].strip('"')
    front.records()
    client.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    client.delete_object_tagging(Bucket=bucket, Key="k")
    put, deleted = front.records(2)
    assert (put["eventName"], deleted["eventName"]) == ("ObjectTagging:Put", "ObjectTagging:Delete")
    assert put["eventVersion"] == "2.3"
    assert put["s3"]["object"] == {"key": "k", "eTag": etag}


def test_filters_choose_by_prefix_and_suffix(front: Front, bucket: str) -> None:
    notify(front, bucket, ["s3:ObjectCreated:Put"], {"prefix": "images/", "suffix": ".jpg"})
    client = front.client()
    for key in ("images/a.png", "a.jpg", "images/a b.jpg", "images/c.jpg.txt"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    client.copy_object(Bucket=bucket, Key="images/copy.jpg", CopySource={"Bucket": bucket, "Key": "a.jpg"})
    [record] = front.records()
    assert record["s3"]["object"]["key"] == "images/a+b.jpg"
    assert front.no_events()


def test_a_bucket_without_settings_makes_none(front: Front) -> None:
    name = f"b-{uuid.uuid4().hex[:12]}"
    client = front.client()
    client.create_bucket(Bucket=name)
    front.drain()
    client.put_object(Bucket=name, Key="k", Body=b"x")
    assert front.no_events()


def test_a_streamed_upload_has_its_size(front: Front, bucket: str, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"z" * 300_000)
    with path.open("rb") as file:
        front.client().put_object(Bucket=bucket, Key="k", Body=file)
    [record] = front.records()
    assert record["s3"]["object"]["size"] == 300_000
    assert front.client().head_object(Bucket=bucket, Key="k")["ContentLength"] == 300_000


def test_get_and_list_make_none(front: Front, bucket: str) -> None:
    client = front.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    front.records()
    client.list_objects_v2(Bucket=bucket)
    client.get_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError) as caught:
        client.head_object(Bucket=bucket, Key="absent")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert front.no_events()


def form_upload(front: Front, bucket: str, key: str, content: bytes, **fields: str) -> urllib.request.Request:
    """A browser's form upload, as boto3's presigned post describes it."""
    post = front.client().generate_presigned_post(bucket, key, Fields=fields, Conditions=[fields] if fields else None)
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in post["fields"].items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo é.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
    )
    body = b"".join(parts) + content + f"\r\n--{boundary}--\r\n".encode()
    return urllib.request.Request(
        f"{front.endpoint}/{bucket}", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )


def test_a_form_upload(embedded: Front) -> None:
    # With another server behind, the form is signed with that server's own keys, which these tests' clients lack.
    front, name = embedded, f"b-{uuid.uuid4().hex[:12]}"
    front.client().create_bucket(Bucket=name)
    notify(front, name, ["s3:ObjectCreated:*"], {"prefix": "up/"})
    front.drain()
    content = b"j" * 200_000
    with urllib.request.urlopen(form_upload(front, name, "up/a b.jpg", content)) as answer:
        assert answer.status == 204
    [record] = front.records()
    assert record["eventName"] == "ObjectCreated:Post"
    stored = front.client().head_object(Bucket=name, Key="up/a b.jpg")
    assert record["s3"]["object"]["key"] == "up/a+b.jpg"
    assert record["s3"]["object"]["size"] == stored["ContentLength"] == len(content)
    assert record["s3"]["object"]["eTag"] == stored["ETag"].strip('"')
    urllib.request.urlopen(form_upload(front, name, "elsewhere/a.jpg", b"x")).close()
    assert front.no_events()


def test_acl_and_restore(embedded: Front) -> None:
    front, name = embedded, f"b-{uuid.uuid4().hex[:12]}"
    client = front.client()
    client.create_bucket(Bucket=name)
    notify(front, name, ["s3:ObjectAcl:Put", "s3:ObjectRestore:*"])
    front.drain()
    client.put_object(Bucket=name, Key="k", Body=b"frozen", StorageClass="GLACIER")
    client.put_object_acl(Bucket=name, Key="k", ACL="public-read")
    [acl] = front.records()
    assert (acl["eventName"], acl["eventVersion"]) == ("ObjectAcl:Put", "2.3")
    client.restore_object(Bucket=name, Key="k", RestoreRequest={"Days": 1})
    [restore] = front.records()
    assert (restore["eventName"], restore["s3"]["object"]["size"]) == ("ObjectRestore:Post", 6)
    client.restore_object(Bucket=name, Key="k", RestoreRequest={"Days": 1})
    assert front.no_events()


def test_who_did_it_is_in_the_record(embedded: Front) -> None:
    front, name = embedded, f"b-{uuid.uuid4().hex[:12]}"
    client = front.client()
    client.create_bucket(Bucket=name)
    notify(front, name, ["s3:ObjectCreated:*"])
    front.drain()

    def as_a_function(request: Any, **_: Any) -> None:
        request.headers["x-test-caller"] = "arn:aws:sts::000000000000:assumed-role/thumbnails/resize"

    client.meta.events.register("before-send.s3.PutObject", as_a_function)
    client.put_object(Bucket=name, Key="k", Body=b"x")
    [record] = front.records()
    assert re.fullmatch(r"AWS:AROA[A-Z2-7]{17}:resize", record["userIdentity"]["principalId"])


def test_the_client_is_told_when_the_event_cannot_be_stored() -> None:
    with Front() as front:
        client = front.client()
        client.create_bucket(Bucket="full")
        notify(front, "full", ["s3:ObjectCreated:*"])
        front.run(front.store.close())
        with pytest.raises(ClientError, match=r"InternalError.*could not be stored") as caught:
            client.put_object(Bucket="full", Key="k", Body=b"x")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_an_unreadable_url_is_none_of_the_taps_business(embedded: Front) -> None:
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(f"{embedded.endpoint}/%FF%FE/%zz?%%", method="DELETE"))
