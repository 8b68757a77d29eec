// URLs and forms that are signed in the page and sent without the SDK.
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "/sdk.js";
import { createPresignedPost, getSignedUrl } from "/sdk.js";
import { client, MIB, noise, plan, sameBytes } from "/app.js";

const s3 = client();
const object = { Bucket: plan.bucket, Key: "urls/ä b.jpg" };
const expiresIn = 600;

/** Sends by XMLHttpRequest, as what shows its progress does. */
function send(method, url, body) {
    const request = new XMLHttpRequest();
    const loaded = [];
    request.upload.onprogress = (event) => loaded.push([event.loaded, event.total]);
    request.open(method, url);
    return new Promise((resolve, reject) => {
        request.onload = () => resolve({ status: request.status, etag: request.getResponseHeader("ETag"), loaded });
        request.onerror = () => reject(new Error(`the browser refuses, after ${JSON.stringify(loaded)}`));
        request.send(body);
    });
}

/** Sends a form of at most 1 MiB. */
async function post(file) {
    const fields = { "Content-Type": "image/jpeg", success_action_status: "201" };
    const Conditions = [["content-length-range", 1, MIB]];
    const { url, fields: signed } = await createPresignedPost(s3, { ...object, Fields: fields, Conditions });
    const form = new FormData();
    for (const [name, value] of Object.entries(signed)) form.append(name, value);
    form.append("file", new File([file], "ä b.jpg", { type: "image/jpeg" }));
    return fetch(url, { method: "POST", body: form });
}

async function stored() {
    const url = await getSignedUrl(s3, new GetObjectCommand(object), { expiresIn });
    // What was signed in one second has one URL, for which the browser may still have what was there before.
    const answer = await fetch(url, { cache: "no-store" });
    same(answer.status, 200);
    return { etag: answer.headers.get("ETag"), bytes: await answer.arrayBuffer() };
}

export async function urls() {
    await step("a presigned PUT and GET by fetch", async () => {
        const body = noise(300_000);
        const command = new PutObjectCommand({ ...object, ContentType: "image/jpeg", ContentLength: body.length });
        const url = await getSignedUrl(s3, command, { expiresIn });
        const put = await fetch(url, { method: "PUT", body, headers: { "content-type": "image/jpeg" } });
        same(put.status, 200);
        const { etag, bytes } = await stored();
        same(put.headers.get("ETag"), etag);
        await sameBytes(bytes, body);
    });

    await step("a presigned PUT that is bound to its checksum", async () => {
        const body = noise(1000);
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
        const ChecksumSHA256 = btoa(String.fromCharCode(...hash));
        const unhoistableHeaders = new Set(["x-amz-checksum-sha256"]);
        const command = new PutObjectCommand({ ...object, ChecksumSHA256 });
        const url = await getSignedUrl(s3, command, { expiresIn, unhoistableHeaders });
        const headers = { "x-amz-checksum-sha256": ChecksumSHA256 };
        const wrong = await fetch(url, { method: "PUT", body: noise(1000), headers });
        same([wrong.status, (await wrong.text()).includes("<Code>BadDigest</Code>")], [400, true]);
        const right = await fetch(url, { method: "PUT", body, headers });
        same([right.status, right.headers.get("x-amz-checksum-sha256")], [200, ChecksumSHA256]);
    });

    await step("a presigned PUT by XMLHttpRequest, with its progress", async () => {
        const body = noise(4 * MIB);
        const url = await getSignedUrl(s3, new PutObjectCommand(object), { expiresIn });
        const { status, etag, loaded } = await send("PUT", url, new Blob([body]));
        same(status, 200);
        same(loaded.at(-1), [body.length, body.length]);
        const now = await stored();
        same(etag, now.etag);
        await sameBytes(now.bytes, body);
    });

    await step("a form with a policy", async () => {
        const body = noise(100_000);
        const answer = await post(body);
        same([answer.status, (await answer.text()).includes("<PostResponse>")], [201, true]);
        const now = await stored();
        same(answer.headers.get("ETag"), now.etag);
        await sameBytes(now.bytes, body);
        const large = await post(noise(MIB + 1));
        same([large.status, (await large.text()).includes("<Code>EntityTooLarge</Code>")], [400, true]);
        await sameBytes((await stored()).bytes, body);
    });

    await step("a presigned HEAD and DELETE", async () => {
        const head = await getSignedUrl(s3, new HeadObjectCommand(object), { expiresIn });
        const found = await fetch(head, { method: "HEAD" });
        same([found.status, found.headers.get("content-type")], [200, "image/jpeg"]);
        const remove = await getSignedUrl(s3, new DeleteObjectCommand(object), { expiresIn });
        same((await fetch(remove, { method: "DELETE" })).status, 204);
        same((await fetch(head, { method: "HEAD" })).status, 404);
    });
}
