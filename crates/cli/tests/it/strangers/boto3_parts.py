"""Sends a file in parts by the HTTP client that boto3 uses, to URLs that the server signed."""

import hashlib
import json
import os
import urllib.request
import uuid

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, HTTPClientError
from botocore.httpsession import URLLib3Session

api, path = os.environ["API"], os.environ["FILE"]
session = URLLib3Session()


def ask(method, at, body=None):
    headers = {
        "Authorization": "Bearer " + os.environ["TOKEN"],
        "Safelight-Owner": "ann",
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + at, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def put(url, data):
    """As often as it takes: the size of what breaks is one part."""
    for attempt in range(50):
        request = AWSRequest("PUT", url["url"], headers=url["headers"], data=data)
        try:
            answer = session.send(request.prepare())
        except (ConnectionClosedError, EndpointConnectionError, HTTPClientError):
            continue
        if answer.status_code == 200:
            return attempt
        raise AssertionError((answer.status_code, answer.content))
    raise AssertionError("a part never arrives")


with open(path, "rb") as file:
    whole = file.read()
capture = ask("POST", "/v1/captures", {
    "client_ref": "boto3",
    "accept_transports": ["multipart"],
    "assets": [{
        "client_ref": "1",
        "resources": [{
            "kind": "primary",
            "size_bytes": len(whole),
            "sha256": hashlib.sha256(whole).hexdigest(),
            "mime": "image/jpeg",
        }],
    }],
})
upload = capture["assets"][0]["uploads"][0]
size = upload["plan"]["part_size_bytes"]
parts = [whole[at:at + size] for at in range(0, len(whole), size)]
urls = ask("POST", f"/v1/uploads/{upload['upload_id']}/urls", {
    "parts": [
        {"number": n, "sha256": hashlib.sha256(part).hexdigest()}
        for n, part in enumerate(parts, 1)
    ],
})["urls"]
again = [put(url, part) for url, part in zip(urls, parts)]
done = ask("POST", f"/v1/uploads/{upload['upload_id']}/complete", {})
print("boto3:", upload["upload_id"], done["state"], "repeated", again)
