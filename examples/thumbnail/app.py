"""The thumbnail function of AWS's tutorial "Using an Amazon S3 trigger to create thumbnail images", in one bucket.

Nothing here knows of Pilotlight: endpoint, region and credentials of `boto3.client("s3")` come from the environment,
as they do on AWS. The trigger's prefix filter keeps the thumbnails it writes from triggering it again.
"""

import os
import uuid
from urllib.parse import unquote_plus

import boto3
from PIL import Image

LARGEST = (300, 300)

s3 = boto3.client("s3")


def handler(event, context):
    written = []
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = unquote_plus(record["s3"]["object"]["key"])
        name = os.path.basename(key)
        original, thumbnail = f"/tmp/{uuid.uuid4()}-{name}", f"/tmp/{uuid.uuid4()}-thumbnail-{name}"
        s3.download_file(bucket, key, original)
        with Image.open(original) as image:
            size = image.size
            image.thumbnail(LARGEST)
            image.save(thumbnail)
        s3.upload_file(thumbnail, bucket, f"thumbnails/{name}")
        print(f"{key}: {size[0]} x {size[1]} became {image.size[0]} x {image.size[1]} as thumbnails/{name}")
        for path in (original, thumbnail):
            os.remove(path)
        written.append(f"thumbnails/{name}")
    return {"thumbnails": written}
