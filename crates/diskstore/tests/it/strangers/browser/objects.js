// Whole objects, through the SDK.
import {
    CopyObjectCommand,
    DeleteObjectsCommand,
    GetObjectCommand,
    GetObjectTaggingCommand,
    HeadObjectCommand,
    PutObjectCommand,
    paginateListObjectsV2,
} from "/sdk.js";
import { client, isCrc32, isETag, noise, plan, sameBytes } from "/app.js";

const s3 = client();
const Bucket = plan.bucket;
const object = { Bucket, Key: "o/ä b+c&d/e=%.jpg" };
const body = noise(300_000);
const metadata = { camera: "back", note: "one two" };

/** A client whose answers arrive with one byte changed. */
function corrupted() {
    const { requestHandler } = client().config;
    async function handle(...request) {
        const { response } = await requestHandler.handle(...request);
        const bytes = new Uint8Array(await new Response(response.body).arrayBuffer());
        bytes[bytes.length >> 1] ^= 1;
        response.body = new Blob([bytes]).stream();
        return { response };
    }
    return client({ requestHandler: { handle } });
}

export async function objects() {
    await step("PutObject with the checksum that the SDK adds, metadata and tags", async () => {
        const put = await s3.send(
            new PutObjectCommand({
                ...object,
                Body: body,
                ContentType: "image/jpeg",
                Metadata: metadata,
                Tagging: "keep=no&album=a%20b",
            }),
        );
        isETag(put.ETag);
        isCrc32(put.ChecksumCRC32);
        const { TagSet } = await s3.send(new GetObjectTaggingCommand(object));
        const tags = TagSet.map(({ Key, Value }) => `${Key}=${Value}`).sort();
        same(tags, ["album=a b", "keep=no"]);
    });

    await step("HeadObject tells what is exposed, and nothing else", async () => {
        const head = await s3.send(new HeadObjectCommand({ ...object, ChecksumMode: "ENABLED" }));
        same([head.ContentLength, head.ContentType], [body.length, "image/jpeg"]);
        isETag(head.ETag);
        isCrc32(head.ChecksumCRC32);
        same(head.Metadata, plan.readsMetadata ? metadata : {});
    });

    await step("GetObject, whose bytes the SDK checks", async () => {
        const got = await s3.send(new GetObjectCommand(object));
        isCrc32(got.ChecksumCRC32);
        await sameBytes(await got.Body.transformToByteArray(), body);
        const wrong = await corrupted().send(new GetObjectCommand(object));
        const error = await failure(wrong.Body.transformToByteArray());
        check(error.message.startsWith("Checksum mismatch"), error.message);
    });

    await step("GetObject of a range", async () => {
        // From its cache the browser would answer with a part of the object, but the checksum of the whole.
        const uncached = client({ requestHandler: { cache: "no-store" } });
        const got = await uncached.send(new GetObjectCommand({ ...object, Range: "bytes=1000-1999" }));
        same([got.$metadata.httpStatusCode, got.ContentRange], [206, `bytes 1000-1999/${body.length}`]);
        await sameBytes(await got.Body.transformToByteArray(), body.slice(1000, 2000));
    });

    await step("refusals can be read", async () => {
        const refused = async (name, command) => same((await failure(s3.send(command))).name, name);
        await refused("NoSuchKey", new GetObjectCommand({ Bucket, Key: "missing" }));
        await refused("PreconditionFailed", new PutObjectCommand({ ...object, Body: body, IfNoneMatch: "*" }));
        const wrong = { Bucket, Key: "wrong", Body: body, ChecksumSHA256: btoa("\0".repeat(32)) };
        await refused("BadDigest", new PutObjectCommand(wrong));
        const nobody = client({
            credentials: { ...plan.credentials, secretAccessKey: "wrong" },
            requestHandler: { cache: "no-store" },
        });
        same((await failure(nobody.send(new GetObjectCommand(object)))).name, "SignatureDoesNotMatch");
    });

    await step("every checksum", async () => {
        for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
            const Key = `sums/${ChecksumAlgorithm}`;
            await s3.send(new PutObjectCommand({ Bucket, Key, Body: body, ChecksumAlgorithm }));
            const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
            check(got[`Checksum${ChecksumAlgorithm}`], `${ChecksumAlgorithm} can be read`);
            await sameBytes(await got.Body.transformToByteArray(), body);
        }
    });

    await step("CopyObject", async () => {
        const CopySource = `${Bucket}/${encodeURIComponent(object.Key)}`;
        const copy = await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource }));
        const got = await s3.send(new GetObjectCommand({ Bucket, Key: "copy" }));
        same([got.ETag, got.ContentType], [copy.CopyObjectResult.ETag, "image/jpeg"]);
        await sameBytes(await got.Body.transformToByteArray(), body);
    });

    await step("ListObjectsV2, page by page, and by folder", async () => {
        const names = [];
        for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket })) {
            names.push(...page.Contents.map(({ Key }) => Key));
        }
        const sums = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"].map((name) => `sums/${name}`);
        same(names, ["copy", object.Key, ...sums]);
        const list = paginateListObjectsV2({ client: s3 }, { Bucket, Delimiter: "/" });
        const { Contents, CommonPrefixes } = (await list.next()).value;
        same([Contents.map(({ Key }) => Key), CommonPrefixes.map(({ Prefix }) => Prefix)], [["copy"], ["o/", "sums/"]]);
    });

    await step("DeleteObjects", async () => {
        const Objects = [];
        for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket })) {
            Objects.push(...page.Contents.map(({ Key }) => ({ Key })));
        }
        const gone = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
        same([gone.Deleted.length, gone.Errors ?? []], [Objects.length, []]);
        same((await failure(s3.send(new HeadObjectCommand(object)))).name, "NotFound");
    });
}
