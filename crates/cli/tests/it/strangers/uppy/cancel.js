// Sends a file, gives it up in the midst, and sends it again.
import { app, choose, plan, send } from "/app.js";

await step("it is given up", async () => {
    const uppy = app();
    await choose(uppy, plan.files[0]);
    await new Promise((gone) => {
        if (plan.way === "store") uppy.once("s3-multipart:part-uploaded", gone);
        else uppy.on("upload-progress", (_, { bytesUploaded }) => bytesUploaded > plan.enough && gone());
        uppy.upload();
    });
    uppy.cancelAll();
    // Nothing is left that a later upload could go on with.
    while (localStorage.length > 0) await new Promise((again) => setTimeout(again, 10));
});

await step("it is sent again", async () => {
    const uppy = app();
    await choose(uppy, plan.files[0]);
    await send(uppy, 1);
});

await report(true);
