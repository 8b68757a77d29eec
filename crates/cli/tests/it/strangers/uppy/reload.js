// Sends a file, is loaded again in the midst of it, and goes on.
import { app, choose, plan, send } from "/app.js";

const uppy = app();
await choose(uppy, plan.files[0]);
if (!sessionStorage.reloaded) {
    const reload = () => {
        sessionStorage.reloaded = "yes";
        location.reload();
    };
    if (plan.way === "store") uppy.on("s3-multipart:part-uploaded", reload);
    else uppy.on("upload-progress", (_, { bytesUploaded }) => bytesUploaded > plan.enough && reload());
    await step("it is sent before the page is loaded again", async () => {
        const { failed } = await uppy.upload();
        same(failed, []);
        throw new Error("the page was not loaded again");
    });
    await report(false);
} else {
    await step("the rest is sent", async () => {
        let had;
        uppy.on("upload-progress", (_, { bytesUploaded }) => (had ??= bytesUploaded));
        const [{ size }] = await send(uppy, 1);
        check(had > 0 && had < size, `${had} of ${size} bytes were there`);
    });
    await report(true);
}
