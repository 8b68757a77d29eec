// A page that may send anything but whose store lets it read none of the headers that are not every page's.
import { CreateMultipartUploadCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "/sdk.js";
import { Upload, UploadPartCommand } from "/sdk.js";
import { client, MIB, noise, plan, sameBytes } from "/app.js";

const s3 = client();
const Bucket = plan.bucket;
const body = noise(1000);
const object = { Bucket, Key: "k" };

await step("it stores an object", async () => {
    const put = await s3.send(new PutObjectCommand({ ...object, Body: body, Metadata: { camera: "back" } }));
    same([put.ETag, put.ChecksumCRC32], [undefined, undefined]);
});

await step("it reads what every page may read", async () => {
    const head = await s3.send(new HeadObjectCommand(object));
    same([head.ContentLength, head.ContentType], [1000, "application/octet-stream"]);
    same([head.ETag, head.ChecksumCRC32, head.Metadata], [undefined, undefined, {}]);
});

await step("it reads the bytes, of which the SDK cannot check the checksum", async () => {
    const got = await s3.send(new GetObjectCommand(object));
    same([got.ETag, got.ChecksumCRC32], [undefined, undefined]);
    await sameBytes(await got.Body.transformToByteArray(), body);
});

await step("it cannot upload in parts, whose ETags it would have to know", async () => {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
    const part = { ...object, UploadId, PartNumber: 1, Body: body };
    same((await s3.send(new UploadPartCommand(part))).ETag, undefined);
    const params = { Bucket, Key: "large", Body: new Blob([noise(6 * MIB)]) };
    const error = await failure(new Upload({ client: s3, params }).done());
    check(error.message.includes("Missing Bucket CORS configuration for ETag header"), error.message);
});

await report(true);
