// Sends a file by tus-js-client over a link that breaks, stops it half way, and goes on with it.
const fs = require("node:fs");
const { PassThrough } = require("node:stream");
const { Upload } = require(process.env.SAFELIGHT_TOOLS + "/tus.cjs");

const file = () => fs.createReadStream(process.env.FILE);

const send = (more, from = file()) =>
  new Promise((resolve, reject) => {
    const upload = new Upload(from, {
      endpoint: process.env.GATEWAY + "/u/tus",
      headers: { Authorization: "Bearer " + process.env.TOKEN, "Safelight-Owner": "ann" },
      metadata: { filename: "by-tus-js.jpg", filetype: "image/jpeg" },
      retryDelays: [0, 100, 200, 400, 800, 1600],
      chunkSize: 4_000_000,
      uploadSize: fs.statSync(process.env.FILE).size,
      onError: reject,
      onSuccess: () => resolve(upload),
      ...more(() => upload),
    });
    upload.start();
  });

(async () => {
  // Stopped in the midst, and gone on with by its address.
  const stopped = await new Promise((resolve, reject) => {
    send((of) => ({
      onChunkComplete: (_, sent) => {
        if (sent >= 4_000_000) of().abort().then(() => resolve(of().url));
      },
    })).catch(reject);
  });
  const done = await send(() => ({ uploadUrl: stopped }));
  if (done.url !== stopped) throw new Error("another upload was begun");
  // The first bytes with the creation, and a length that is told at the end.
  // (so few that they are through: who does not hear the address begins again).
  await send(() => ({ uploadDataDuringCreation: true, chunkSize: 150_000 }));
  const unknown = file().pipe(new PassThrough());
  await send(() => ({ uploadSize: null, uploadLengthDeferred: true }), unknown);
  console.log("tus-js-client:", done.url.split("?")[0].split("/").pop());
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
