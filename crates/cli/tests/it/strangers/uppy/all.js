// Sends files, and one of them again.
import { app, choose, plan, send } from "/app.js";

await step(`${plan.files} are sent`, async () => {
    const uppy = app();
    for (const name of plan.files) await choose(uppy, name);
    const sent = await send(uppy, plan.files.length);
    check(sent.every((file) => file.progress.percentage === 100), "all is shown as sent");
    if (plan.way === "store") {
        for (const { response } of sent) check(response.body.key.startsWith("ast_"), "the asset is named");
    }
});

await step("one is sent again", async () => {
    const uppy = app();
    await choose(uppy, plan.files[0]);
    await send(uppy, 1);
});

await report(true);
