// Sends files by tus-js-client, three at a time, with its own defaults.
const fs = require("node:fs");
const path = require("node:path");
const { Upload } = require(process.env.SAFELIGHT_TOOLS + "/tus.cjs");

const send = (file) =>
  new Promise((resolve, reject) => {
    new Upload(fs.createReadStream(file), {
      endpoint: process.env.GATEWAY + "/u/tus",
      headers: { Authorization: "Bearer " + process.env.TOKEN },
      metadata: { filename: path.basename(file), filetype: "image/jpeg" },
      uploadSize: fs.statSync(file).size,
      onError: reject,
      onSuccess: resolve,
    }).start();
  });

const files = process.env.FILES.split("\n");
const sendNext = async () => {
  for (let file = files.shift(); file; file = files.shift()) await send(file);
};

Promise.all([sendNext(), sendNext(), sendNext()]).catch((error) => {
  console.error(error);
  process.exit(1);
});
