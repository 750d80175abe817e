"""Bucket and key are found in every form of address that SDKs use."""

from __future__ import annotations

import pytest

from pilotlight.wire.s3_address import object_path, s3_address


@pytest.mark.parametrize(
    ("host", "path", "bucket", "key"),
    [
        ("localhost:4566", "/photos/a%20b%2Fc+d", "photos", "a b/c+d"),
        ("127.0.0.1:4566", "/photos/k", "photos", "k"),
        ("[::1]:4566", "/photos", "photos", ""),
        ("pilotlight", "/photos/", "photos", ""),
        ("s3.localhost:4566", "/photos/k", "photos", "k"),
        ("photos.localhost:4566", "/a//b", "photos", "a//b"),
        ("photos.localhost", "/", "photos", ""),
        ("my.photos.localhost", "/k", "my.photos", "k"),
        ("photos.s3.localhost", "/k", "photos", "k"),
        ("photos.s3.us-east-1.localhost", "/k", "photos", "k"),
        ("photos.s3.amazonaws.com", "/k", "photos", "k"),
        ("my.photos.s3.eu-west-1.amazonaws.com", "/k", "my.photos", "k"),
        ("photos.s3-us-west-2.amazonaws.com", "/k", "photos", "k"),
        ("s3.dualstack.us-east-1.amazonaws.com", "/photos/k", "photos", "k"),
        ("sqs.us-east-1.amazonaws.com", "/", "", ""),
        ("node.example.com", "/photos/k", "photos", "k"),
        ("photos.node.example.com:80", "/k", "photos", "k"),
        ("localhost", "/photos//k", "photos", "/k"),
        ("localhost", "/%C3%BC/%E6%97%A5", "ü", "日"),
    ],
)
def test_bucket_and_key(host: str, path: str, bucket: str, key: str) -> None:
    address = s3_address(host, path, ["node.example.com"])
    assert (address.bucket, address.key) == (bucket, key)


def test_the_path_in_path_style() -> None:
    assert s3_address("photos.localhost", "/a%2Fb").raw_path == "/photos/a%2Fb"
    assert object_path("photos", "a b/ü+~") == "/photos/a%20b/%C3%BC%2B~"
