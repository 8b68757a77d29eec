// Uploads in parts, through the SDK.
import {
    AbortMultipartUploadCommand,
    CompleteMultipartUploadCommand,
    CreateMultipartUploadCommand,
    DeleteObjectCommand,
    GetObjectCommand,
    HeadObjectCommand,
    ListMultipartUploadsCommand,
    ListPartsCommand,
    Upload,
    UploadPartCommand,
} from "/sdk.js";
import { client, isCrc32, isETag, MIB, noise, plan, sameBytes, sha256 } from "/app.js";

const s3 = client();
const Bucket = plan.bucket;
const object = { Bucket, Key: "parts" };

/** Begins an upload and sends these bodies; returns its id and the parts as Complete wants them. */
async function begin(bodies) {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
    const Parts = [];
    for (const [at, Body] of bodies.entries()) {
        const PartNumber = at + 1;
        const part = await s3.send(new UploadPartCommand({ ...object, UploadId, PartNumber, Body }));
        isETag(part.ETag);
        isCrc32(part.ChecksumCRC32);
        Parts.push({ PartNumber, ETag: part.ETag });
    }
    return { UploadId, Parts };
}

export async function parts() {
    await step("a Blob of 12 MiB by lib-storage, with its progress", async () => {
        const bytes = noise(12 * MIB + 123);
        const Metadata = { sha256: await sha256(bytes) };
        const params = { Bucket, Key: "kept", Body: new Blob([bytes], { type: "video/mp4" }), Metadata };
        const upload = new Upload({ client: s3, params, partSize: 5 * MIB, queueSize: 3 });
        const told = [];
        upload.on("httpUploadProgress", (progress) => told.push(progress));
        const done = await upload.done();
        isETag(done.ETag, 3);
        same(told.map(({ part }) => part).sort(), [1, 2, 3]);
        const loaded = told.map((progress) => progress.loaded);
        check(loaded[0] < loaded[1] && loaded[1] < loaded[2], `${loaded} grows`);
        same([loaded[2], told[2].total], [bytes.length, bytes.length]);
        const got = await s3.send(new GetObjectCommand({ Bucket, Key: "kept" }));
        await sameBytes(await got.Body.transformToByteArray(), bytes);
    });

    await step("parts by hand, listed and completed", async () => {
        const bodies = [noise(5 * MIB), noise(1000)];
        const { UploadId, Parts } = await begin(bodies);
        const list = await s3.send(new ListPartsCommand({ ...object, UploadId }));
        same(list.Parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })), Parts);
        const complete = { ...object, UploadId, MultipartUpload: { Parts } };
        const done = await s3.send(new CompleteMultipartUploadCommand(complete));
        same((await s3.send(new HeadObjectCommand(object))).ETag, done.ETag);
        const got = await s3.send(new GetObjectCommand({ ...object, PartNumber: 2 }));
        same(got.PartsCount ?? 2, 2);
        await sameBytes(await got.Body.transformToByteArray(), bodies[1]);
        await s3.send(new DeleteObjectCommand(object));
    });

    await step("an upload that is given up", async () => {
        const { UploadId } = await begin([noise(1000)]);
        const open = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
        same(open.Uploads.map((upload) => upload.UploadId), [UploadId]);
        await s3.send(new AbortMultipartUploadCommand({ ...object, UploadId }));
        const error = await failure(s3.send(new ListPartsCommand({ ...object, UploadId })));
        same(error.name, "NoSuchUpload");
    });

    await step("lib-storage gives up an upload when it is told to", async () => {
        const given = client();
        // It says that it has given up before it tells the store.
        const told = new Promise((resolve) => {
            given.middlewareStack.add((next, { commandName }) => async (request) => {
                const answer = await next(request);
                if (commandName === "AbortMultipartUploadCommand") resolve();
                return answer;
            });
        });
        const params = { ...object, Body: new Blob([noise(11 * MIB)]) };
        const upload = new Upload({ client: given, params, queueSize: 1 });
        upload.on("httpUploadProgress", () => upload.abort());
        same((await failure(upload.done())).name, "AbortError");
        await told;
        const open = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
        same(open.Uploads ?? [], []);
        same((await failure(s3.send(new HeadObjectCommand(object)))).name, "NotFound");
    });
}
