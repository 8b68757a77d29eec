"""Sends a file by tuspy in chunks over a link that breaks, goes on after a stop, and lets checksums be checked."""

import hashlib
import os

from tusclient import client
from tusclient.exceptions import TusCommunicationError

url, path = os.environ["GATEWAY"], os.environ["FILE"]
tus = client.TusClient(url + "/u/tus")
tus.set_headers({
    "Authorization": "Bearer " + os.environ["TOKEN"],
    "Safelight-Owner": "ann",
})
with open(path, "rb") as file:
    whole = hashlib.sha256(file.read()).hexdigest()
said = {"filename": "by-tuspy.jpg", "filetype": "image/jpeg", "sha256": whole}

# It repeats what a cut broke, from where the server is. What has a digest is taken whole or not at all.
patient = {"retries": 100, "retry_delay": 0}
first = tus.uploader(path, chunk_size=500_000, metadata=said, upload_checksum=True, **patient)
first.upload(stop_at=5_000_000)
assert first.offset == 5_000_000, first.offset

# Another program, which knows the address only.
second = tus.uploader(path, chunk_size=4_000_001, url=first.url, **patient)
assert second.offset == 5_000_000, second.offset
second.upload()
assert second.offset == os.path.getsize(path)
assert second.get_offset() == os.path.getsize(path)

try:
    tus.uploader(path, url=first.url.replace("/upl_", "/upl_0")).upload()
except TusCommunicationError as error:
    assert error.status_code in (401, 403, 404), error.status_code
else:
    raise AssertionError("an address that nobody signed was taken")
print("tuspy:", first.url.split("?")[0].rsplit("/", 1)[1])
