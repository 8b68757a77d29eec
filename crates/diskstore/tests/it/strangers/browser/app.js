// What the pages of these tests share with any app: its settings, a client, bytes.
import { S3Client } from "/sdk.js";

/** What the test has this page do. */
export const plan = await (await fetch("/plan")).json();
export const MIB = 1024 * 1024;

/** A client that has nothing but the store's address and a key. */
export function client(options) {
    return new S3Client({
        endpoint: plan.endpoint,
        region: "us-east-1",
        forcePathStyle: true,
        credentials: plan.credentials,
        maxAttempts: 1,
        ...options,
    });
}

/** Fails the step unless this is an ETag, of so many parts if that is said. */
export function isETag(value, parts = "1") {
    check(new RegExp(`^"[0-9a-f]{32}(-${parts})?"$`).test(value), `${value} is an ETag`);
}

/** Fails the step unless this is a CRC-32. */
export function isCrc32(value) {
    check(/^[A-Za-z0-9+/]{6}==$/.test(value), `${value} is a CRC-32`);
}

/** Bytes that do not repeat. */
export function noise(size) {
    const bytes = new Uint8Array(size);
    // A browser gives at most this many at once.
    for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    return bytes;
}

export async function sha256(bytes) {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Fails the step unless these are the same bytes. */
export async function sameBytes(got, wanted) {
    same([got.byteLength, await sha256(got)], [wanted.byteLength, await sha256(wanted)]);
}
