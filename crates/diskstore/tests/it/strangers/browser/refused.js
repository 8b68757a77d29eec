// A page whose origin the store does not allow. What it does is signed all the same.
import { ListObjectsV2Command } from "/sdk.js";
import { client, plan } from "/app.js";

async function refusedByTheBrowser(promise) {
    const error = await failure(promise);
    same([error.name, error.message], ["TypeError", "Failed to fetch"]);
}

await step("the answer to a presigned GET cannot be read", () => refusedByTheBrowser(fetch(plan.getUrl)));

await step("the same GET shows no more than that it was answered", async () => {
    const answer = await fetch(plan.getUrl, { mode: "no-cors" });
    same([answer.type, answer.status, (await answer.arrayBuffer()).byteLength], ["opaque", 0, 0]);
});

await step("a presigned PUT is not sent", () =>
    refusedByTheBrowser(fetch(plan.putUrl, { method: "PUT", body: plan.putBody })),
);

await step("a presigned PUT by XMLHttpRequest is not sent", async () => {
    const request = new XMLHttpRequest();
    request.open("PUT", plan.putUrl);
    const event = await new Promise((resolve) => {
        request.onloadend = request.onerror = resolve;
        request.send(plan.putBody);
    });
    same([event.type, request.status], ["error", 0]);
});

await step("the SDK cannot ask anything", () =>
    refusedByTheBrowser(client().send(new ListObjectsV2Command({ Bucket: plan.bucket }))),
);

await report(true);
