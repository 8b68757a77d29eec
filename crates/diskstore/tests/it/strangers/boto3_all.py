"""What an application does with boto3: objects, copies, tags, every checksum, every presigned form."""

import base64
import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
import uuid
import zlib

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["ENDPOINT"]
MIB = 1024 * 1024


def client(**options):
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        config=Config(
            signature_version="s3v4",
            retries={"max_attempts": 1},
            s3={"addressing_style": "path"},
            **options,
        ),
    )


s3 = client()
BUCKET = "strangers-boto3"


def noise(size, seed):
    return hashlib.shake_256(str(seed).encode()).digest(size)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in code, error
        return
    raise AssertionError(f"not refused: {arguments}")


def buckets():
    s3.create_bucket(Bucket=BUCKET)
    s3.head_bucket(Bucket=BUCKET)
    assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] in (None, "us-east-1")
    s3.create_bucket(Bucket=BUCKET + "-2")
    s3.delete_bucket(Bucket=BUCKET + "-2")
    refused(["404", "NoSuchBucket"], s3.head_bucket, Bucket=BUCKET + "-2")


def objects():
    body = noise(300_000, 1)
    key = "o/ä b+c&d/e=%.jpg"
    put = s3.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=body,
        ContentType="image/jpeg",
        Metadata={"camera": "back", "note": "one two"},
        Tagging="keep=no&album=a%20b",
    )
    head = s3.head_object(Bucket=BUCKET, Key=key)
    assert head["ContentLength"] == len(body) and head["ContentType"] == "image/jpeg"
    assert head["Metadata"] == {"camera": "back", "note": "one two"}
    assert head["ETag"] == put["ETag"]
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    part = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=1000-1999")
    assert part["Body"].read() == body[1000:2000]
    assert part["ContentRange"] == f"bytes 1000-1999/{len(body)}"
    refused(["304"], s3.get_object, Bucket=BUCKET, Key=key, IfNoneMatch=put["ETag"])
    refused(["PreconditionFailed"], s3.get_object, Bucket=BUCKET, Key=key, IfMatch='"x"')
    refused(["PreconditionFailed"], s3.put_object, Bucket=BUCKET, Key=key, Body=b"", IfNoneMatch="*")
    tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]}
    assert tags == {"keep": "no", "album": "a b"}
    s3.put_object_tagging(
        Bucket=BUCKET, Key=key, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
    )
    assert s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == [{"Key": "k", "Value": "v"}]
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": key})
    assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == body
    assert s3.head_object(Bucket=BUCKET, Key="copy")["Metadata"]["camera"] == "back"
    s3.copy_object(
        Bucket=BUCKET,
        Key="copy",
        CopySource={"Bucket": BUCKET, "Key": "copy"},
        MetadataDirective="REPLACE",
        Metadata={"camera": "front"},
    )
    assert s3.head_object(Bucket=BUCKET, Key="copy")["Metadata"] == {"camera": "front"}
    s3.delete_object_tagging(Bucket=BUCKET, Key=key)
    assert s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == []


def listings():
    for number in range(25):
        s3.put_object(Bucket=BUCKET, Key=f"list/{number % 5}/{number:02}", Body=b"x")
    keys = []
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7}
    ):
        keys += [o["Key"] for o in page["Contents"]]
    assert len(keys) == 25 and keys == sorted(keys)
    first = []
    for page in s3.get_paginator("list_objects").paginate(
        Bucket=BUCKET, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 2}
    ):
        first += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
    assert first == [f"list/{n}/" for n in range(5)]
    gone = s3.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in keys] + [{"Key": "never"}]}
    )
    assert len(gone["Deleted"]) == 26 and "Errors" not in gone


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "big")


def crc64nvme(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x9A6C9329AC4BC9B5 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return (crc ^ 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")


SUMS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": crc32c,
    "CRC64NVME": crc64nvme,
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
assert crc64nvme(b"123456789").hex() == "ae8b14860a799888"
assert crc32c(b"123456789").hex() == "e3069283"


def text(raw):
    return base64.b64encode(raw).decode()


def checksums():
    small = noise(1000, 2)
    parts = [noise(5 * MIB, 3), noise(1000, 4)]
    # The two Cyclic sums that Python has no fast code for are only taken of small parts.
    for name, digest in SUMS.items():
        field, key = f"Checksum{name}", f"sum/{name}"
        value = text(digest(small))
        s3.put_object(Bucket=BUCKET, Key=key, Body=small, **{field: value})
        head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        assert head[field] == value, head
        refused(
            ["BadDigest"],
            s3.put_object,
            Bucket=BUCKET,
            Key=key,
            Body=small + b"x",
            **{field: value},
        )
        # By a trailer, which boto3 computes by itself where it can.
        if name in ("CRC32", "SHA1", "SHA256"):
            put = s3.put_object(Bucket=BUCKET, Key=key, Body=small, ChecksumAlgorithm=name)
            assert put[field] == value
        for kind in ("COMPOSITE", "FULL_OBJECT"):
            if kind == "FULL_OBJECT" and name.startswith("SHA"):
                continue
            if kind == "COMPOSITE" and name == "CRC64NVME":
                continue
            slow = name in ("CRC32C", "CRC64NVME")
            pieces = [noise(40_000, 5)] if slow else parts
            upload = s3.create_multipart_upload(
                Bucket=BUCKET, Key=key, ChecksumAlgorithm=name, ChecksumType=kind
            )["UploadId"]
            done, sums = [], b""
            for number, piece in enumerate(pieces, 1):
                raw = digest(piece)
                sums += raw
                answer = s3.upload_part(
                    Bucket=BUCKET,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=piece,
                    **{field: text(raw)},
                )
                assert answer[field] == text(raw)
                done.append({"PartNumber": number, "ETag": answer["ETag"], field: text(raw)})
            listed = s3.list_parts(Bucket=BUCKET, Key=key, UploadId=upload)["Parts"]
            assert [p[field] for p in listed] == [p[field] for p in done]
            uploads = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
            assert upload in [u["UploadId"] for u in uploads]
            made = s3.complete_multipart_upload(
                Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
            )
            whole = (
                f"{text(digest(sums))}-{len(pieces)}"
                if kind == "COMPOSITE"
                else text(digest(b"".join(pieces)))
            )
            assert made[field] == whole, (name, kind, made)
            body = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
            assert body["Body"].read() == b"".join(pieces)


def multipart():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    source = noise(6 * MIB, 6)
    s3.put_object(Bucket=BUCKET, Key="source", Body=source)
    copied = s3.upload_part_copy(
        Bucket=BUCKET,
        Key="parts",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": BUCKET, "Key": "source"},
        CopySourceRange=f"bytes=0-{5 * MIB - 1}",
    )["CopyPartResult"]["ETag"]
    sent = s3.upload_part(
        Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=2, Body=b"end"
    )["ETag"]
    done = {"Parts": [{"PartNumber": 1, "ETag": copied}, {"PartNumber": 2, "ETag": sent}]}
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=done)
    body = s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read()
    assert body == source[: 5 * MIB] + b"end"
    lost = s3.create_multipart_upload(Bucket=BUCKET, Key="lost")["UploadId"]
    s3.abort_multipart_upload(Bucket=BUCKET, Key="lost", UploadId=lost)
    refused(["NoSuchUpload"], s3.list_parts, Bucket=BUCKET, Key="lost", UploadId=lost)


def http(method, url, body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def presigned():
    # Without the checksum that a new SDK would sign into the query.
    s3 = client(request_checksum_calculation="when_required")
    body = noise(2000, 7)
    place = {"Bucket": BUCKET, "Key": "signed"}

    def url(call, **more):
        return s3.generate_presigned_url(call, Params={**place, **more}, ExpiresIn=600)

    octets = {"Content-Type": "application/octet-stream"}
    put = url("put_object", ContentType=octets["Content-Type"])
    assert http("PUT", put, body, octets)[0] == 200
    sha = text(hashlib.sha256(body).digest())
    bound = url("put_object", ChecksumSHA256=sha, ContentType=octets["Content-Type"])
    headers = {**octets, "x-amz-checksum-sha256": sha}
    assert http("PUT", bound, body, headers)[0] == 200
    status, answer, _ = http("PUT", bound, body[:-1] + b"?", headers)
    assert status == 400, (status, answer)
    status, got, headers = http("GET", url("get_object", ResponseContentType="image/png"))
    assert (status, got, headers["Content-Type"]) == (200, body, "image/png")
    status, got, _ = http("GET", url("get_object"), headers={"Range": "bytes=0-9"})
    assert (status, got) == (206, body[:10])
    assert http("HEAD", url("head_object"))[0] == 200
    upload = s3.create_multipart_upload(**place)["UploadId"]
    part = url("upload_part", UploadId=upload, PartNumber=1)
    status, _, headers = http("PUT", part, body, {"Content-Type": ""})
    assert status == 200, status
    done = {"Parts": [{"PartNumber": 1, "ETag": headers["ETag"]}]}
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=done)
    assert http("GET", url("get_object"))[1] == body
    assert http("DELETE", url("delete_object"))[0] == 204
    assert http("GET", url("get_object"))[0] == 404
    forged = url("get_object").replace("signed?", "other?")
    assert http("GET", forged)[0] == 403


def form():
    post = s3.generate_presigned_post(
        BUCKET,
        "form/${filename}",
        Fields={"Content-Type": "image/jpeg"},
        Conditions=[["content-length-range", 1, 1000], {"Content-Type": "image/jpeg"}],
        ExpiresIn=600,
    )

    def send(file):
        boundary = uuid.uuid4().hex
        lines = b""
        for name, value in post["fields"].items():
            lines += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        lines += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'.encode()
        lines += file + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return http("POST", post["url"], lines, kind)[0]

    assert send(noise(900, 8)) == 204
    assert s3.get_object(Bucket=BUCKET, Key="form/a.jpg")["Body"].read() == noise(900, 8)
    assert send(noise(1001, 8)) == 400


def configuration():
    s3.put_bucket_cors(
        Bucket=BUCKET,
        CORSConfiguration={
            "CORSRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://a.example"]}]
        },
    )
    assert s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"][0]["AllowedMethods"] == ["PUT"]
    s3.delete_bucket_cors(Bucket=BUCKET)
    rules = {
        "Rules": [
            {
                "ID": "x",
                "Status": "Enabled",
                "Filter": {"Prefix": "tmp/"},
                "Expiration": {"Days": 1},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            }
        ]
    }
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=rules)
    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"][0]["ID"] == "x"
    refused(
        ["NotImplemented"],
        s3.put_bucket_versioning,
        Bucket=BUCKET,
        VersioningConfiguration={"Status": "Enabled"},
    )


def clear():
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for found in page.get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    s3.delete_bucket(Bucket=BUCKET)


STEPS = [buckets, objects, listings, checksums, multipart, presigned, form, configuration, clear]
for step in STEPS:
    step()
    print(f"ok {step.__name__}", file=sys.stderr)
print(json.dumps({"boto3": boto3.__version__, "steps": len(STEPS)}))
